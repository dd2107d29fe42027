/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel warns about ends a test. */
#ifndef SHIM_LINUX_BUG_H
#define SHIM_LINUX_BUG_H

#include <linux/build_bug.h>
#include <linux/compiler.h>

/*
 * Prints and aborts, unless @shim_warn_hook is set: then that is called with
 * the text of the condition and the program goes on.
 */
extern void (*shim_warn_hook)(const char *what, const char *file, int line);
void shim_warn(const char *what, const char *file, int line);
void shim_bug(const char *what, const char *file, int line)
	__attribute__((__noreturn__));

#define shim_warn_if(condition, what) ({			\
	int shim_hit = !!(condition);				\
	if (shim_hit)						\
		shim_warn(what, __FILE__, __LINE__);		\
	shim_hit; })

#define WARN_ON(c)		shim_warn_if(c, #c)
#define WARN_ON_ONCE(c)		shim_warn_if(c, #c)
#define WARN(c, fmt, ...)	shim_warn_if(c, #c ": " fmt)
#define WARN_ONCE(c, fmt, ...)	shim_warn_if(c, #c ": " fmt)
#define BUG_ON(c)		do {				\
	if (c)							\
		shim_bug(#c, __FILE__, __LINE__);		\
} while (0)
#define BUG()			shim_bug("BUG", __FILE__, __LINE__)
#ifndef unreachable
#define unreachable()		__builtin_unreachable()
#endif

#endif
