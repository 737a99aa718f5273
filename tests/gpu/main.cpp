// GoogleTest's main for tests on a CUDA device: as tests/support/main.cpp, but asks for a device first and
// ends with status 77, which ctest counts as skipped, where there is none.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "dist/cuda/load.h"
#include "tests/support/world.h"

namespace saddle::test {
namespace {

World* the_world = nullptr;

}  // namespace

World& world() {
  return *the_world;
}

}  // namespace saddle::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const saddle::CudaPlugin* cuda = saddle::cuda_plugin();
  if (!cuda) {
    std::cout << "no GPU here: " << saddle::why_no_cuda() << std::endl;
    return 77;
  }
  saddle::World world(argc, argv);
  saddle::test::the_world = &world;
  const char* ranks = std::getenv("SADDLE_TEST_RANKS");
  if (world.size() != std::atoi(ranks ? ranks : "1")) {
    std::cerr << "expected a world of " << (ranks ? ranks : "1") << " ranks, found " << world.size()
              << std::endl;
    return 1;
  }
  // NCCL refuses two ranks on one device unless they seem to be on two hosts, which then talk by sockets.
  if (world.size() > cuda->device_count()) {
    setenv("NCCL_HOSTID", ("saddle-rank-" + std::to_string(world.rank())).c_str(), 1);
    setenv("NCCL_SOCKET_IFNAME", "lo", 0);
    setenv("NCCL_IB_DISABLE", "1", 0);
  }
  if (world.rank() == 0)
    std::cout << cuda->device_count() << " x " << cuda->device_name(0) << ", " << cuda->versions()
              << std::endl;
  return RUN_ALL_TESTS();
}
