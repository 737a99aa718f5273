// What Comm adds to the MPI below it: all-reduces through Comm against plain MPI_Allreduce, taking turns, and
// many small tensors in one flat all-reduce against one by one.
//   mpirun -n 2 --bind-to none bench_comm_peer
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>

#include "dist/comm.h"

namespace saddle {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Seconds of each, on the slowest rank, and their ratio; round by round, one after the other.
struct Pair {
  std::vector<double> ours, theirs, ratio;
};

class Turns {
 public:
  Turns(const Comm& comm, int64_t rounds) : comm_(comm), rounds_(rounds) {}

  template <class Ours, class Theirs>
  Pair take(Ours ours, Theirs theirs) const {
    Pair pair;
    for (int64_t round = -2; round < rounds_; ++round) {
      double a = 0, b = 0;
      if (round % 2 == 0) a = time(ours), b = time(theirs);
      if (round % 2 != 0) b = time(theirs), a = time(ours);
      if (round < 0) continue;
      pair.ours.push_back(a);
      pair.theirs.push_back(b);
      pair.ratio.push_back(a / b);
    }
    return pair;
  }

 private:
  template <class Work>
  double time(Work work) const {
    comm_.barrier();
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const torch::Tensor slowest = torch::full({1}, took.count(), torch::kDouble);
    comm_.all_reduce(slowest, Reduce::max);
    return slowest.item<double>();
  }

  const Comm& comm_;
  int64_t rounds_;
};

void print(const Comm& comm, const std::string& what, const Pair& pair) {
  if (comm.rank() == 0)
    fmt::print("  {:<28}{:>12.1f}{:>12.1f}{:>10.3f}\n", what, median(pair.ours) * 1e6,
               median(pair.theirs) * 1e6, median(pair.ratio));
}

int run(World& world, int64_t rounds, bool quick) {
  const Comm comm = world.comm("cpu");
  const Turns turns(comm, rounds);
  MPI_Comm plain = MPI_COMM_NULL;
  MPI_Comm_dup(MPI_COMM_WORLD, &plain);
  if (comm.rank() == 0)
    fmt::print("  {:<28}{:>12}{:>12}{:>10}\n", "all-reduce", "Comm, us", "MPI, us", "ratio");
  for (const int64_t mib : quick ? std::vector<int64_t>{1} : std::vector<int64_t>{1, 8, 64}) {
    const torch::Tensor x = torch::ones({mib * kMiB / 4}, torch::kFloat);
    const auto bare = [&] {
      MPI_Allreduce(MPI_IN_PLACE, x.data_ptr(), static_cast<int>(x.numel()), MPI_FLOAT, MPI_SUM, plain);
    };
    print(comm, fmt::format("{} MiB", mib), turns.take([&] { comm.all_reduce(x); }, bare));
    x.fill_(1);
  }
  MPI_Comm_free(&plain);

  constexpr int64_t kTensors = 200, kEach = 1024;
  const torch::Tensor flat = torch::ones({kTensors * kEach}, torch::kFloat);
  const auto one_by_one = [&] {
    std::vector<Wait> waits;
    for (int64_t i = 0; i < kTensors; ++i)
      waits.push_back(comm.all_reduce_async(flat.narrow(0, i * kEach, kEach)));
    for (const Wait& wait : waits) wait();
  };
  if (comm.rank() == 0) fmt::print("\n  {:<28}{:>12}{:>12}{:>10}\n", "", "fused, us", "each, us", "ratio");
  print(comm, "200 tensors of 4 KiB", turns.take([&] { comm.all_reduce(flat); }, one_by_one));
  return 0;
}

}  // namespace
}  // namespace saddle

int main(int argc, char** argv) {
  int64_t rounds = 40;
  bool quick = false;
  CLI::App app("bench_comm_peer: what Comm adds to the MPI below it");
  app.add_option("--rounds", rounds, "Turns of each");
  app.add_flag("--quick", quick, "Few and small: only to see that it runs");
  CLI11_PARSE(app, argc, argv);
  if (quick) rounds = 2;
  saddle::World world(argc, argv);
  return saddle::run(world, rounds, quick);
}
