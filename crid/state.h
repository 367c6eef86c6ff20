/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of pods and containers and the only function that moves between them. -1: the event is
 * illegal in that state; the caller logs and drops it.
 */
#ifndef CRID_STATE_H
#define CRID_STATE_H

enum pod_state {
	POD_NEW,		/* being made; not listed */
	POD_READY,
	POD_STOPPING,		/* containers, network and namespaces are going; still listed as ready */
	POD_NOTREADY,
	POD_REMOVING,
	POD_GONE,
	POD_STATES
};

enum pod_event {
	POD_EV_MADE,
	POD_EV_FAILED,		/* could not be made and was undone */
	POD_EV_STOP,		/* asked for, or the infra container ended */
	POD_EV_STOPPED,
	POD_EV_REMOVE,
	POD_EV_REMOVED,
	POD_EV_STUCK,		/* undoing or removing failed; it may be asked for again */
	POD_EVENTS
};

enum container_state {
	CONTAINER_NEW,		/* being created; not listed */
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_EXITED,
	CONTAINER_REMOVING,
	CONTAINER_GONE,
	CONTAINER_STATES
};

enum container_event {
	CONTAINER_EV_CREATED,
	CONTAINER_EV_FAILED,	/* could not be created and was undone */
	CONTAINER_EV_STARTED,
	CONTAINER_EV_EXITED,
	CONTAINER_EV_REMOVE,
	CONTAINER_EV_REMOVED,
	CONTAINER_EV_STUCK,
	CONTAINER_EVENTS
};

int pod_next(enum pod_state st, enum pod_event ev);
int container_next(enum container_state st, enum container_event ev);
const char *pod_state_name(enum pod_state st);
const char *container_state_name(enum container_state st);

#endif
