#include "dist/trace.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "dist/file.h"
#include "dist/flight.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

TEST(Trace, HoldsAllRanksAndLanesInOneChromeFile) {
  const Comm comm = test::world().comm("cpu");
  const std::string path = comm.broadcast_text(std::filesystem::temp_directory_path() /
                                               fmt::format("saddle-trace-{}.json", getpid()));
  trace::start();
  {
    const flight::Doing doing("D backward");
    const trace::Span read(trace::Lane::data, "read batch");
    torch::Tensor x = torch::ones({1000});
    comm.all_reduce(x, Reduce::sum, "D bucket 0");
  }
  trace::write(comm, trace::stop(), path);
  const nlohmann::json events = nlohmann::json::parse(read_file(path)).at("traceEvents");
  std::set<std::pair<int, std::string>> seen;
  for (const auto& e : events) {
    if (e.at("ph") != "X") continue;
    seen.emplace(e.at("pid").get<int>(),
                 e.at("cat").get<std::string>() + "/" + e.at("name").get<std::string>());
    EXPECT_GE(e.at("dur").get<double>(), 0);
  }
  for (int r = 0; r < comm.size(); ++r) {
    EXPECT_TRUE(seen.contains({r, "compute/D backward"}));
    EXPECT_TRUE(seen.contains({r, "data/read batch"}));
    EXPECT_EQ(seen.contains({r, "communication/D bucket 0"}), comm.size() > 1);
  }
  comm.barrier();
  std::filesystem::remove(path);
}

TEST(Trace, RecordsNothingWhileOff) {
  trace::start();
  trace::stop();
  { const trace::Span span(trace::Lane::compute, "unseen"); }
  trace::start();
  EXPECT_TRUE(trace::stop().empty());
}

}  // namespace
}  // namespace saddle
