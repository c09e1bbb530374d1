// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spank_voucher.c - sbatch, srun and salloc learn --voucher
 *
 * Slurm itself carries the option to the submit hook. Nothing is decided
 * here: the client can be changed by whoever runs it, the hook asks again.
 */
#include <stdlib.h>

#include <slurm/slurm.h>
#include <slurm/spank.h>

#include "wire.h"

SPANK_PLUGIN(voucher, 1);

static int _on_option(int val, const char *value, int remote)
{
	(void) val;
	if (remote || (value && wire_name_ok(value)))
		return ESPANK_SUCCESS;
	slurm_error("voucher: --voucher: must be 1 to 32 of A-Z a-z 0-9 - _, like CD24-0007");
	return ESPANK_BAD_ARG;
}

static struct spank_option option = {
	.name = "voucher",
	.arginfo = "account",
	.usage = "charge the job to this compute voucher account (or SLURM_VOUCHER)",
	.has_arg = 1,
	.cb = _on_option,
};

/* Register the option wherever Slurm asks, or slurmstepd complains about it. */
int slurm_spank_init(spank_t spank, int argc, char **argv)
{
	(void) argv;
	if (argc) {
		slurm_error("voucher: plugstack.conf: takes no arguments: %d given", argc);
		return ESPANK_BAD_ARG;
	}
	return spank_option_register(spank, &option);
}

/*
 * Hand SLURM_VOUCHER to the hook, as srun and salloc send no environment.
 * Called for each het component. The option, when given, wins in the hook.
 * A step inside an allocation goes through here as well; it sends nothing to
 * the hook, so a bad value is left for the hook to refuse.
 */
int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv)
{
	const char *value = getenv("SLURM_VOUCHER");

	(void) argc;
	(void) argv;
	if (spank_remote(spank) || !value || !*value)
		return ESPANK_SUCCESS;
	return spank_job_control_setenv(spank, "SLURM_VOUCHER", value, 1);
}
