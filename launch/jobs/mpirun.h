// mpirun as a child that is told to stop in the way that saves.
#pragma once

#include <string>
#include <vector>

namespace saddle {

// Exit::usage where mpirun would refuse with a page of text: as root, without any network.
void require_mpirun();

// Runs `words` ("mpirun", ...) in a session of its own until it ends; its status, as a shell gives it. What
// it prints passes through this process: mpirun itself dies of a closed pipe. A request to stop (Ctrl-C and
// the other signals of stopping.h) goes to it as SIGUSR1, which it passes on: the ranks save and their status
// becomes its own. After Ctrl-C or SIGTERM it would kill them within seconds and end with 1. A second
// request, a second later, does that.
int run_mpirun(std::vector<std::string> words);

}  // namespace saddle
