/* SPDX-License-Identifier: Apache-2.0 */
/* See state.h. Stop and remove are idempotent in CRI, so a second one is legal everywhere it can come. */
#include "state.h"

int pod_next(enum pod_state st, enum pod_event ev)
{
	switch (st) {
	case POD_NEW:
		return ev == POD_EV_MADE ? POD_READY : ev == POD_EV_FAILED ? POD_GONE :
			ev == POD_EV_STUCK ? POD_STOPPING : -1;
	case POD_READY:
		return ev == POD_EV_STOP ? POD_STOPPING : -1;
	case POD_STOPPING:
		return ev == POD_EV_STOP ? POD_STOPPING : ev == POD_EV_STOPPED ? POD_NOTREADY : -1;
	case POD_NOTREADY:
		return ev == POD_EV_STOP ? POD_NOTREADY : ev == POD_EV_REMOVE ? POD_REMOVING : -1;
	case POD_REMOVING:
		return ev == POD_EV_REMOVED ? POD_GONE : ev == POD_EV_STUCK ? POD_NOTREADY :
			ev == POD_EV_REMOVE ? POD_REMOVING : -1;
	case POD_GONE:
	case POD_STATES:
		return -1;
	}
	return -1;
}

int container_next(enum container_state st, enum container_event ev)
{
	switch (st) {
	case CONTAINER_NEW:
		return ev == CONTAINER_EV_CREATED ? CONTAINER_CREATED : ev == CONTAINER_EV_FAILED ? CONTAINER_GONE : -1;
	case CONTAINER_CREATED:
		return ev == CONTAINER_EV_STARTED ? CONTAINER_RUNNING : ev == CONTAINER_EV_EXITED ? CONTAINER_EXITED : -1;
	case CONTAINER_RUNNING:
		return ev == CONTAINER_EV_EXITED ? CONTAINER_EXITED : -1;
	case CONTAINER_EXITED:
		return ev == CONTAINER_EV_REMOVE ? CONTAINER_REMOVING : -1;
	case CONTAINER_REMOVING:
		return ev == CONTAINER_EV_REMOVED ? CONTAINER_GONE : ev == CONTAINER_EV_STUCK ? CONTAINER_EXITED :
			ev == CONTAINER_EV_REMOVE ? CONTAINER_REMOVING : -1;
	case CONTAINER_GONE:
	case CONTAINER_STATES:
		return -1;
	}
	return -1;
}

const char *pod_state_name(enum pod_state st)
{
	static const char *const names[] = { "new", "ready", "stopping", "not ready", "removing", "gone" };

	return st < POD_STATES ? names[st] : "?";
}

const char *container_state_name(enum container_state st)
{
	static const char *const names[] = { "new", "created", "running", "exited", "removing", "gone" };

	return st < CONTAINER_STATES ? names[st] : "?";
}
