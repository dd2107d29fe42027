/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_SCHED_SIGNAL_H
#define SHIM_LINUX_SCHED_SIGNAL_H

#include <linux/jiffies.h>

#define fatal_signal_pending(task)	0
#define schedule_timeout_killable(t)	((void)(jiffies += (t)))

#endif
