/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's log: one line a message on stderr, "time level message", cut at LOG_LINE_MAX,
 * control bytes escaped. Any thread.
 */
#ifndef CRID_LOG_H
#define CRID_LOG_H

#include <cbase/cleanup.h>

enum log_level { LOG_FATAL, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };
#define LOG_LINE_MAX 4096

int log_set_level(const char *name); /* fatal panic error warn warning info debug trace; -EINVAL */
const char *log_level_name(void);
void log_at(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

#endif
