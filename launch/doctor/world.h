// The world that the ranks form, against what their launcher says of it.
#pragma once

#include "dist/launcher.h"
#include "launch/doctor/report.h"

namespace saddle::doctor {

Lines check_world(const Comm& comm);  // collective

// What MPI says, host by rank, against what the launcher does.
Verdict verdict_on_world(const std::vector<std::string>& hosts, int64_t local_rank, const Launcher& launcher);
Verdict verdict_on_world(const Comm& comm);  // collective; this rank's verdict

}  // namespace saddle::doctor
