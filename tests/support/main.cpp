// GoogleTest's main for every test program. A program run under mpirun (SADDLE_TEST_RANKS set) starts MPI,
// checks the world's size, and prints from rank 0; other ranks print only their failures.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "dist/flight.h"
#include "tests/support/world.h"

namespace saddle::test {
namespace {

World* the_world = nullptr;

class OtherRank : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (result.failed())
      std::cerr << "[rank " << the_world->rank() << "] "
                << (result.file_name() ? result.file_name() : "an exception") << ":" << result.line_number()
                << ": " << result.message() << std::endl;
  }
};

}  // namespace

World& world() {
  return *the_world;
}

}  // namespace saddle::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  setenv("SADDLE_CACHE", "", /*overwrite=*/0);  // tests start from nothing
  const char* ranks = std::getenv("SADDLE_TEST_RANKS");
  if (!ranks) return RUN_ALL_TESTS();
  saddle::World world(argc, argv);
  saddle::test::the_world = &world;
  // A rank that fails alone leaves the others waiting: the watchdog ends them and says where.
  world.watch(30);
  saddle::flight::limit(30);
  if (world.size() != std::atoi(ranks)) {
    std::cerr << "expected a world of " << ranks << " ranks, found " << world.size() << std::endl;
    return 1;
  }
  if (world.rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new saddle::test::OtherRank);
  }
  return RUN_ALL_TESTS();
}
