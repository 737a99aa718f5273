#include "launch/bench/comm.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/log.h"

namespace saddle::bench {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int kBlocks = 5;

double slowest(const Comm& comm, double seconds) {
  const torch::Tensor x = torch::full({1}, seconds, torch::kDouble).to(comm.device());
  comm.all_reduce(x, Reduce::max);
  return x.item<double>();
}

// What element i of `rank`'s tensor is, so that sums are exact.
torch::Tensor pattern(int64_t count, int rank, torch::Device device) {
  return (torch::arange(count, torch::kLong).remainder(16) + rank).to(torch::kFloat).to(device);
}

// One call of a collective, and what it leaves.
class Call {
 public:
  Call(const Comm& comm, const std::string& collective, int64_t bytes) : comm_(comm), what_(collective) {
    require(what_ == "all_reduce" || what_ == "broadcast" || what_ == "all_gather", Exit::bug,
            "no collective '{}'", what_);
    const int64_t count = bytes / 4 / (what_ == "all_gather" ? comm.size() : 1);
    tensor_ = pattern(std::max<int64_t>(1, count), comm.rank(), comm.device());
  }
  void run() {
    if (what_ == "all_reduce") comm_.all_reduce(tensor_);
    if (what_ == "broadcast") comm_.broadcast(tensor_);
    if (what_ == "all_gather") result_ = comm_.all_gather(tensor_);
  }
  // Elements on all ranks that are wrong after the first run.
  int64_t wrong() const {
    const int n = comm_.size();
    const torch::Tensor zero = pattern(tensor_.numel(), 0, comm_.device());
    torch::Tensor differs;
    if (what_ == "all_reduce") differs = tensor_.ne(zero * n + n * (n - 1) / 2);
    if (what_ == "broadcast") differs = tensor_.ne(zero);
    if (what_ == "all_gather")
      differs = result_.ne(zero + torch::arange(n, torch::kFloat).to(comm_.device()).unsqueeze(1));
    const torch::Tensor count = differs.sum();
    comm_.all_reduce(count);
    return count.item<int64_t>();
  }
  int64_t bytes() const {
    return static_cast<int64_t>(tensor_.nbytes()) * (what_ == "all_gather" ? comm_.size() : 1);
  }
  void rest() { tensor_.zero_(); }                            // sums of zeros stay zeros
  void finish() const { tensor_.view(-1)[0].item<float>(); }  // on CUDA, waits

 private:
  Comm comm_;
  std::string what_;
  torch::Tensor tensor_, result_;
};

double seconds_of(const Comm& comm, Call& call, int64_t iterations) {
  comm.barrier();
  const auto start = Clock::now();
  for (int64_t i = 0; i < iterations; ++i) call.run();
  call.finish();
  const std::chrono::duration<double> took = Clock::now() - start;
  return slowest(comm, took.count()) / static_cast<double>(iterations);
}

// The largest collective that leaves half of the host's free memory alone: an all-gather holds its result
// thrice.
int64_t fitting(const Comm& comm, int64_t bytes) {
  const double free =
      static_cast<double>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  const double most = -slowest(comm, -free / 2 / 4 / comm.local_size());
  return std::min(bytes, static_cast<int64_t>(most));
}

json to_json(const Measured& m, const Comm& comm) {
  return {{"collective", m.collective},
          {"bytes", m.bytes},
          {"count", m.bytes / 4},
          {"type", "float32"},
          {"us", m.seconds * 1e6},
          {"algorithm_GB_s", m.algorithm_bandwidth() / 1e9},
          {"bus_GB_s", m.bus_bandwidth(comm.size()) / 1e9},
          {"wrong", m.wrong}};
}

void print_head(const CommOptions& options, const Comm& comm) {
  if (comm.rank() != 0 || options.json) return;
  fmt::print("# {} ranks, {} on this host, {}\n", comm.size(), comm.local_size(), comm.device().str());
  fmt::print("{:<12}{:>12}{:>12}{:>10}{:>14}{:>12}{:>12}{:>8}\n", "collective", "bytes", "count", "type",
             "time, us", "algbw, GB/s", "busbw, GB/s", "#wrong");
}

void print_row(const CommOptions& options, const Comm& comm, const Measured& m) {
  if (comm.rank() != 0 || options.json) return;
  fmt::print("{:<12}{:>12}{:>12}{:>10}{:>14.1f}{:>12.3f}{:>12.3f}{:>8}\n", m.collective, m.bytes, m.bytes / 4,
             "float32", m.seconds * 1e6, m.algorithm_bandwidth() / 1e9, m.bus_bandwidth(comm.size()) / 1e9,
             m.wrong);
  std::cout << std::flush;
}

void report(const CommOptions& options, const std::vector<Measured>& all, const Line& line,
            const Comm& comm) {
  if (options.json) {
    json rows = json::array();
    for (const Measured& m : all) rows.push_back(to_json(m, comm));
    const json made = {{"ranks", comm.size()},
                       {"device", comm.device().str()},
                       {"rows", rows},
                       {"all_reduce", {{"latency_us", line.latency * 1e6}, {"GB_s", line.bandwidth / 1e9}}}};
    std::cout << made.dump(1) << std::endl;
  } else {
    fmt::print("# all_reduce: time = alpha + bytes / beta, alpha {:.1f} us, beta {:.3f} GB/s\n",
               line.latency * 1e6, line.bandwidth / 1e9);
  }
}

}  // namespace

double bus_factor(const std::string& collective, int ranks) {
  const double n = ranks;
  return collective == "all_reduce" ? 2 * (n - 1) / n : collective == "all_gather" ? (n - 1) / n : 1;
}

double Measured::bus_bandwidth(int ranks) const {
  return algorithm_bandwidth() * bus_factor(collective, ranks);
}

Line fit(const std::vector<Measured>& points) {
  // With weights 1 / seconds^2: minimise the sum of (a / t + b * s / t - 1)^2.
  double aa = 0, ab = 0, bb = 0, a1 = 0, b1 = 0;
  for (const Measured& m : points) {
    const double a = 1 / m.seconds, b = static_cast<double>(m.bytes) / m.seconds;
    aa += a * a, ab += a * b, bb += b * b, a1 += a, b1 += b;
  }
  const double determinant = aa * bb - ab * ab;
  require(points.size() > 1 && determinant > 0, Exit::usage,
          "latency and bandwidth need at least two sizes: choose a larger --max or a smaller --min");
  const double latency = (a1 * bb - b1 * ab) / determinant, slope = (b1 * aa - a1 * ab) / determinant;
  // Noise may ask for a negative one; then the other alone explains the times.
  if (latency < 0) return {0, bb / b1};
  if (slope <= 0) return {a1 / aa, std::numeric_limits<double>::infinity()};
  return {latency, 1 / slope};
}

Measured measure(const Comm& comm, const std::string& collective, int64_t bytes, int64_t iterations) {
  Call call(comm, collective, bytes);
  call.run();
  const int64_t wrong = call.wrong();
  call.rest();
  const double first = seconds_of(comm, call, 2);
  if (iterations == 0)
    iterations = std::clamp(static_cast<int64_t>(0.5 / first), int64_t{kBlocks}, int64_t{2000});
  std::vector<double> blocks;
  for (int i = 0; i < kBlocks; ++i)
    blocks.push_back(seconds_of(comm, call, std::max<int64_t>(1, iterations / kBlocks)));
  std::nth_element(blocks.begin(), blocks.begin() + kBlocks / 2, blocks.end());
  return {.collective = collective, .bytes = call.bytes(), .seconds = blocks[kBlocks / 2], .wrong = wrong};
}

Network network_of(const Line& line, const Comm& comm) {
  const Level level{line.latency / (2.0 * (comm.size() - 1)),
                    line.bandwidth * bus_factor("all_reduce", comm.size())};
  return {.name = "measured",
          .source = fmt::format("measured by saddle bench comm on {} ranks, {} a host, {}", comm.size(),
                                comm.local_size(), comm.device().str()),
          .per_node = comm.local_size(),
          .call = 0,
          .inside = level,
          .between = level};
}

int bench_comm(World& world, const CommOptions& options) {
  const Comm comm = world.comm(options.device);
  require(comm.size() > 1, Exit::usage,
          "one rank has nobody to talk to: start it as `mpirun -n 2 saddle bench comm`");
  const int64_t largest = fitting(comm, options.max);
  if (largest < options.max) log::warn("stopping at {} bytes: larger ones do not fit into memory", largest);
  print_head(options, comm);
  std::vector<Measured> all, reductions;
  for (const char* collective : {"all_reduce", "broadcast", "all_gather"})
    for (int64_t bytes = options.min; bytes <= largest; bytes *= 4) {
      all.push_back(measure(comm, collective, bytes, options.iterations));
      print_row(options, comm, all.back());
      if (all.back().collective == "all_reduce") reductions.push_back(all.back());
    }
  const Line line = fit(reductions);
  comm.together([&] {
    if (comm.rank() != 0) return;
    report(options, all, line, comm);
    if (!options.out.empty()) write_file(options.out, network_of(line, comm).toml());
  });
  comm.together([&] {
    for (const Measured& m : all)
      require(m.wrong == 0, Exit::bug, "{} of {} bytes: {} elements are wrong", m.collective, m.bytes,
              m.wrong);
  });
  return 0;
}

}  // namespace saddle::bench
