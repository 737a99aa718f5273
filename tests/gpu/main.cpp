// GoogleTest's main for tests on a CUDA device: as tests/support/main.cpp, but asks for a device first and
// ends with status 77, which ctest counts as skipped, and a line that says why, where there is none.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <optional>

#include "dist/cuda/load.h"
#include "tests/gpu/device.h"
#include "tests/support/world.h"

namespace saddle::test {
namespace {

World* the_world = nullptr;
std::optional<Comm> the_comm;

constexpr int kSkipped = 77;

struct Again final : Graph {
  explicit Again(std::function<void()> work) : work(std::move(work)) {}
  void replay() override { work(); }
  std::function<void()> work;
};

// NCCL refuses two ranks on one device unless they seem to be on two hosts, which then talk by sockets.
void seem_apart(int rank) {
  setenv("NCCL_HOSTID", ("saddle-rank-" + std::to_string(rank)).c_str(), 1);
  setenv("NCCL_SOCKET_IFNAME", "lo", 0);
  setenv("NCCL_IB_DISABLE", "1", 0);
}

// Why the ranks do not meet on the device; empty if they do.
std::string meet(World& world) {
  try {
    the_comm.emplace(world.comm(device()));
    torch::Tensor ones = torch::ones({1}, comm().device());
    comm().all_reduce(ones);
    if (ones.item<float>() != static_cast<float>(world.size())) return "their sum of ones is wrong";
    return {};
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const std::exception& error) {
    return error.what();
  }
}

int run(World& world) {
  const CudaPlugin* cuda = cuda_plugin();
  const bool crowded = cuda && world.size() > cuda->device_count();
  if (crowded) seem_apart(world.rank());
  const std::string why = meet(world);
  if (!why.empty()) {
    std::cout << (crowded ? "no second rank here: " : "the ranks do not meet: ") << why << std::endl;
    return crowded ? kSkipped : 1;
  }
  if (world.rank() == 0 && cuda)
    std::cout << cuda->device_count() << " x " << cuda->device_name(0) << ", " << cuda->versions()
              << std::endl;
  return RUN_ALL_TESTS();
}

}  // namespace

World& world() {
  return *the_world;
}

bool rehearsal() {
  static const bool set = std::getenv("SADDLE_GPU_REHEARSAL") != nullptr;
  return set;
}

const std::string& device() {
  static const std::string name = rehearsal() ? "cpu" : "cuda";
  return name;
}

Comm comm() {
  return *the_comm;
}

Capture capture() {
  if (!rehearsal()) return cuda_plugin()->capture;
  return [](const std::function<void()>& work) { return std::make_unique<Again>(work); };
}

std::string memory() {
  if (rehearsal()) return "not measured in a rehearsal";
  return fmt::format("{:.2f} GiB at most",
                     static_cast<double>(cuda_plugin()->peak_memory(comm().device().index())) / (1 << 30));
}

}  // namespace saddle::test

int main(int argc, char** argv) {
  using namespace saddle;
  testing::InitGoogleTest(&argc, argv);
  if (!test::rehearsal() && !cuda_plugin()) {
    std::cout << "no GPU here: " << why_no_cuda() << std::endl;
    return test::kSkipped;
  }
  World world(argc, argv);
  test::the_world = &world;
  const char* ranks = std::getenv("SADDLE_TEST_RANKS");
  if (world.size() != std::atoi(ranks ? ranks : "1")) {
    std::cerr << "expected a world of " << (ranks ? ranks : "1") << " ranks, found " << world.size()
              << std::endl;
    return 1;
  }
  world.watch(120);
  const int status = test::run(world);
  test::the_comm.reset();  // before MPI ends
  return status;
}
