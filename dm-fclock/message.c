// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to fclock-origin. They run under the table's SRCU, so none waits
 * without an end. Every refusal is one sentence in the kernel log.
 */
#include "volume.h"

/* For the answer of a primary that is just giving up. */
#define FCLOCK_ANSWER_MARGIN	1000	/* ms */

static int parse_slots(struct dm_target *ti, char *list, u16 *slots)
{
	unsigned int slot;
	char *word;

	*slots = 0;
	while ((word = strsep(&list, ","))) {
		if (fclock_parse_slot(word, &slot)) {
			fclock_complain(ti, "slot %s is not a number from 0 to %u",
					word, FCLOCK_MAX_SLOTS - 1);
			return -EINVAL;
		}
		*slots |= BIT(slot);
	}
	return 0;
}

static int ask_primary(struct fclock_target *t, const struct fclock_ask *ask,
		       const char *name, const char *list)
{
	struct fclock_volume *v = t->volume;
	struct fclock_waiting_ask w = { .ask = *ask };
	unsigned long flags;
	long left;

	init_completion(&w.ended);
	spin_lock_irqsave(&v->lock, flags);
	left = msecs_to_jiffies(v->core->cfg.trigger_timeout +
				FCLOCK_ANSWER_MARGIN);
	fclock_core_ask(v->core, &w.ask);
	spin_unlock_irqrestore(&v->lock, flags);

	left = wait_for_completion_killable_timeout(&w.ended, left);
	if (left <= 0) {
		spin_lock_irqsave(&v->lock, flags);
		if (!w.ask.done) {
			fclock_core_ask_cancel(v->core, &w.ask);
			/* sent: it may yet take effect, generation= tells */
			w.ask.error = left ? -EINTR :
				      w.ask.sent ? -EINPROGRESS : -ETIMEDOUT;
			strscpy(w.ask.text, !left ?
				"no answer from the primary" : w.ask.sent ?
				"interrupted, it may yet take effect" :
				"interrupted", sizeof(w.ask.text));
		}
		spin_unlock_irqrestore(&v->lock, flags);
	}
	if (w.ask.error)
		fclock_complain(t->ti, "%s %s failed: %s (%d)", name, list,
				w.ask.text[0] ? w.ask.text : "refused",
				w.ask.error);
	return w.ask.error;
}

static int message_trigger(struct fclock_target *t, char **argv)
{
	struct fclock_ask ask = { .kind = FCLOCK_ASK_TRIGGER };
	char list[FCLOCK_MAX_SLOTS * 3 + 1];
	int r;

	strscpy(list, argv[1], sizeof(list));
	r = parse_slots(t->ti, argv[1], &ask.slots);
	return r ?: ask_primary(t, &ask, argv[0], list);
}

static int message_stop(struct fclock_target *t, char **argv)
{
	struct fclock_ask ask = { .kind = FCLOCK_ASK_STOP };
	unsigned int slot;

	if (fclock_parse_slot(argv[1], &slot)) {
		fclock_complain(t->ti, "slot %s is not a number from 0 to %u",
				argv[1], FCLOCK_MAX_SLOTS - 1);
		return -EINVAL;
	}
	ask.slots = BIT(slot);
	return ask_primary(t, &ask, argv[0], argv[1]);
}

static int parse_members(struct dm_target *ti, char *list, u64 *members)
{
	unsigned int node;
	char *word;

	*members = 0;
	while ((word = strsep(&list, ","))) {
		if (kstrtouint(word, 10, &node) || !node ||
		    node > FCLOCK_MAX_NODES) {
			fclock_complain(ti, "member %s is not a node id from 1 to %u",
					word, FCLOCK_MAX_NODES);
			return -EINVAL;
		}
		*members |= 1ULL << (node - 1);
	}
	return 0;
}

static int message_members(struct fclock_target *t, char **argv)
{
	struct fclock_volume *v = t->volume;
	struct dm_target *ti = t->ti;
	unsigned long flags;
	u64 epoch, known, members, strange;
	int r;

	if (v->manager) {
		fclock_complain(ti, "the members of this volume come from cluster %s, not from messages",
				v->cluster);
		return -EPERM;
	}
	if (kstrtou64(argv[1], 10, &epoch) || !epoch ||
	    epoch > FCLOCK_EPOCH_MAX) {
		fclock_complain(ti, "epoch %s is not a number from 1 to %llu",
				argv[1], FCLOCK_EPOCH_MAX);
		return -EINVAL;
	}
	r = parse_members(ti, argv[2], &members);
	if (r)
		return r;
	spin_lock_irqsave(&v->lock, flags);
	known = v->core->epoch;
	strange = members & ~fclock_core_configured(v->core);
	r = fclock_core_members(v->core, epoch, members);
	spin_unlock_irqrestore(&v->lock, flags);
	switch (r) {
	case 0:
		break;
	case -EEXIST:
		fclock_complain(ti, "epoch %llu is known with another list of members",
				epoch);
		break;
	case -ESTALE:
		fclock_complain(ti, "epoch %llu is older than epoch %llu, which is known",
				epoch, known);
		break;
	default:
		fclock_complain(ti, "members of epoch %llu: node %u is not configured here",
				epoch, (unsigned int)__ffs64(strange) + 1);
	}
	return r;
}

static int message_copy_rate(struct fclock_target *t, char **argv)
{
	struct fclock_ask ask = { .kind = FCLOCK_ASK_COPY_RATE };
	unsigned int slot;

	if (fclock_parse_slot(argv[1], &slot)) {
		fclock_complain(t->ti, "slot %s is not a number from 0 to %u",
				argv[1], FCLOCK_MAX_SLOTS - 1);
		return -EINVAL;
	}
	if (kstrtou32(argv[2], 10, &ask.rate)) {
		fclock_complain(t->ti, "copy_rate %s is not a number of KiB/s from 0 to %u",
				argv[2], U32_MAX);
		return -EINVAL;
	}
	ask.slots = BIT(slot);
	return ask_primary(t, &ask, argv[0], argv[1]);
}

static int message_resize(struct fclock_target *t, char **argv)
{
	struct fclock_ask ask = { .kind = FCLOCK_ASK_RESIZE };
	int r;

	if (kstrtou64(argv[1], 10, &ask.length) || !ask.length) {
		fclock_complain(t->ti, "resize %s is not a number of sectors",
				argv[1]);
		return -EINVAL;
	}
	r = fclock_check_blocks(t->volume, ask.length);
	return r ?: ask_primary(t, &ask, argv[0], argv[1]);
}

static int message_drop_cache(struct fclock_target *t, char **argv)
{
	struct fclock_volume *v = t->volume;
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	fclock_core_drop_cache(v->core);
	spin_unlock_irqrestore(&v->lock, flags);
	return 0;
}

static int message_reset_stats(struct fclock_target *t, char **argv)
{
	struct fclock_volume *v = t->volume;
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	fclock_core_reset_stats(v->core);
	v->hits_base = fclock_sum_hits(v);
	if (v->transport)
		v->auth_failures_base =
			fclock_transport_auth_failures(v->transport);
	spin_unlock_irqrestore(&v->lock, flags);
	return 0;
}

static const struct {
	const char *name;
	unsigned int words;		/* after the name */
	int (*handle)(struct fclock_target *t, char **argv);
} messages[] = {
	{ "trigger", 1, message_trigger },
	{ "stop", 1, message_stop },
	{ "members", 2, message_members },
	{ "copy_rate", 2, message_copy_rate },
	{ "resize", 1, message_resize },
	{ "drop_cache", 0, message_drop_cache },
	{ "reset_stats", 0, message_reset_stats },
};

int fclock_origin_message(struct dm_target *ti, unsigned int argc, char **argv,
			  char *result, unsigned int maxlen)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(messages); i++) {
		if (strcmp(argv[0], messages[i].name))
			continue;
		if (argc - 1 == messages[i].words)
			return messages[i].handle(ti->private, argv);
		fclock_complain(ti, "message %s takes %u word%s and %u came",
				argv[0], messages[i].words,
				messages[i].words == 1 ? "" : "s", argc - 1);
		return -EINVAL;
	}
	fclock_complain(ti, "unknown message %s", argv[0]);
	return -EINVAL;
}
