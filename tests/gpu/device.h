// The device that the tests of this folder are about.
#pragma once

#include <string>

#include "launch/engine/graphs.h"

namespace saddle::test {

// "cuda"; or "cpu" in a rehearsal (SADDLE_GPU_REHEARSAL=1), which runs the same tests where no GPU is, to
// test the tests: parity is then the CPU's with itself.
const std::string& device();
bool rehearsal();
Comm comm();           // collective; of all ranks on the device, made once: making one is the slow part
Capture capture();     // CUDA's; in a rehearsal replays run the work again
std::string memory();  // "1.2 GiB at most" since it was last asked

}  // namespace saddle::test
