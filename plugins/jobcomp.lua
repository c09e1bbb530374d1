-- Wake `svoucher collect --watch` when a job has ended: one datagram, never waited for.
--
-- slurm.conf: JobCompType=jobcomp/lua; this file is jobcomp.lua in the folder of slurm.conf.
-- It runs inside slurmctld, which holds the job's lock meanwhile: it must neither block nor fail.
-- So the socket does not block, every error is thrown away, and nothing is said of the job: what
-- it was, slurmdbd knows. Whoever has no luasocket (Debian: lua-socket, for the Lua that slurmctld
-- is linked with) loses the wake-up and nothing else: collect has a timer.

local PATH = "/run/slurm-voucher/collect-CLUSTER.sock" -- as svoucher collect --watch says it

local found, unix = pcall(require, "socket.unix")
local datagram = nil

local function wake()
    if not found then
        return
    end
    if datagram == nil then
        datagram = unix.dgram()
        datagram:settimeout(0)
    end
    if not datagram:sendto("1", PATH) then
        datagram:close() -- nobody reads it, or it is full; another one next time
        datagram = nil
    end
end

function slurm_jobcomp_log_record(job)
    pcall(wake)
    return slurm.SUCCESS
end

return slurm.SUCCESS
