/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include "state.h"
#include "unit.h"

/* What each event does in each state; -1: illegal. Written down once more, by hand. */
static const int pod_expected[POD_STATES][POD_EVENTS] = {
	/*                  MADE       FAILED    STOP          STOPPED       REMOVE        REMOVED   STUCK */
	[POD_NEW] =       { POD_READY, POD_GONE, -1,           -1,           -1,           -1,       POD_STOPPING },
	[POD_READY] =     { -1,        -1,       POD_STOPPING, -1,           -1,           -1,       -1 },
	[POD_STOPPING] =  { -1,        -1,       POD_STOPPING, POD_NOTREADY, -1,           -1,       -1 },
	[POD_NOTREADY] =  { -1,        -1,       POD_NOTREADY, -1,           POD_REMOVING, -1,       -1 },
	[POD_REMOVING] =  { -1,        -1,       -1,           -1,           POD_REMOVING, POD_GONE, POD_NOTREADY },
	[POD_GONE] =      { -1,        -1,       -1,           -1,           -1,           -1,       -1 },
};

#define C(x) CONTAINER_##x
static const int container_expected[CONTAINER_STATES][CONTAINER_EVENTS] = {
	/*               CREATED     FAILED   STARTED     EXITED     REMOVE       REMOVED  STUCK */
	[C(NEW)] =      { C(CREATED), C(GONE), -1,         -1,        -1,          -1,      -1 },
	[C(CREATED)] =  { -1,         -1,      C(RUNNING), C(EXITED), -1,          -1,      -1 },
	[C(RUNNING)] =  { -1,         -1,      -1,         C(EXITED), -1,          -1,      -1 },
	[C(EXITED)] =   { -1,         -1,      -1,         -1,        C(REMOVING), -1,      -1 },
	[C(REMOVING)] = { -1,         -1,      -1,         -1,        C(REMOVING), C(GONE), C(EXITED) },
	[C(GONE)] =     { -1,         -1,      -1,         -1,        -1,          -1,      -1 },
};

START_TEST(every_pod_event_in_every_state)
{
	for (int s = 0; s < POD_STATES; s++)
		for (int e = 0; e < POD_EVENTS; e++)
			ck_assert_msg(pod_next((enum pod_state)s, (enum pod_event)e) == pod_expected[s][e],
				      "state %d, event %d", s, e);
}
END_TEST

START_TEST(every_container_event_in_every_state)
{
	for (int s = 0; s < CONTAINER_STATES; s++)
		for (int e = 0; e < CONTAINER_EVENTS; e++)
			ck_assert_msg(container_next((enum container_state)s, (enum container_event)e) == container_expected[s][e],
				      "state %d, event %d", s, e);
}
END_TEST

/* From NEW every state is reached, and from every state GONE. */
START_TEST(no_state_is_a_trap)
{
	for (int from = 0; from < CONTAINER_STATES; from++) {
		bool reached[CONTAINER_STATES] = { false };

		reached[from] = true;
		for (int round = 0; round < CONTAINER_STATES; round++)
			for (int s = 0; s < CONTAINER_STATES; s++)
				for (int e = 0; reached[s] && e < CONTAINER_EVENTS; e++) {
					int next = container_next((enum container_state)s, (enum container_event)e);

					if (next >= 0)
						reached[next] = true;
				}
		ck_assert(reached[CONTAINER_GONE]);
		for (int s = 0; from == CONTAINER_NEW && s < CONTAINER_STATES; s++)
			ck_assert(reached[s]);
	}
	for (int from = 0; from < POD_STATES; from++) {
		bool reached[POD_STATES] = { false };

		reached[from] = true;
		for (int round = 0; round < POD_STATES; round++)
			for (int s = 0; s < POD_STATES; s++)
				for (int e = 0; reached[s] && e < POD_EVENTS; e++) {
					int next = pod_next((enum pod_state)s, (enum pod_event)e);

					if (next >= 0)
						reached[next] = true;
				}
		ck_assert(reached[POD_GONE]);
	}
}
END_TEST

START_TEST(states_have_names)
{
	for (int s = 0; s < POD_STATES; s++)
		ck_assert_str_ne(pod_state_name((enum pod_state)s), "?");
	for (int s = 0; s < CONTAINER_STATES; s++)
		ck_assert_str_ne(container_state_name((enum container_state)s), "?");
	ck_assert_str_eq(pod_state_name(POD_STATES), "?");
	ck_assert_str_eq(container_state_name(CONTAINER_STATES), "?");
}
END_TEST

UNIT_MAIN("state", every_pod_event_in_every_state, every_container_event_in_every_state, no_state_is_a_trap, states_have_names)
