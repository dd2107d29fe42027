/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_DELAY_H
#define SHIM_LINUX_DELAY_H

#include <linux/jiffies.h>

#define msleep(ms)	((void)(jiffies += (ms)))

#endif
