#include "launch/doctor/training.h"

#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "data/store/index.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/flight.h"
#include "dist/kernel.h"
#include "dist/trace.h"
#include "launch/doctor/host.h"
#include "launch/engine/trainer.h"
#include "launch/run/open_data.h"

namespace saddle::doctor {
namespace {

using nlohmann::json;

constexpr int64_t kKiB = 1024, kFew = 2;  // samples of a first, cheap step

// Ends attempts to allocate beyond `bytes` more, with an exception instead of the host's out-of-memory
// killer.
class Fence {
 public:
  explicit Fence(int64_t bytes) {
    constexpr int64_t kSlack = int64_t{1} << 30;  // address space that is only reserved: stacks, arenas
    getrlimit(RLIMIT_AS, &before_);
    const int64_t size = number_after("/proc/self/status", "VmSize:") * kKiB;
    rlimit limit = before_;
    limit.rlim_cur =
        std::min<rlim_t>(before_.rlim_cur, rlim_t(size + kSlack + std::min(bytes, INT64_MAX / 2)));
    setrlimit(RLIMIT_AS, &limit);
  }
  ~Fence() { setrlimit(RLIMIT_AS, &before_); }
  Fence(const Fence&) = delete;
  Fence& operator=(const Fence&) = delete;

 private:
  rlimit before_{};
};

int64_t resident() {
  return number_after("/proc/self/status", "VmRSS:") * kKiB;
}
int64_t peak_resident() {
  return number_after("/proc/self/status", "VmHWM:") * kKiB;
}
void forget_peak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

// A system and its steps on `samples`; the rest of the state is as in training.
struct Trial {
  int64_t built = 0, peak = 0;  // resident bytes: between steps, and at most during one
  double seconds = 0;           // of a step
  Footprint footprint;
};

Trial try_steps(Run& run, const std::shared_ptr<Dataset>& data, int64_t samples, bool step) {
  run.options.batch = samples;
  Trainer trainer(run, World::alone(), data);
  Trial trial{.footprint = {.state = trainer.state_bytes(), .gradients = trainer.gradient_bytes()}};
  if (!step) return trial;
  trainer.step();  // the first one also loads and sets up what it uses
  trial.built = resident();
  forget_peak();
  const double begin = trace::now();
  trainer.step();
  trial.seconds = trace::now() - begin;
  trial.peak = peak_resident();
  return trial;
}

// A small step first: it tells whether the whole one is worth the wait.
Footprint measure(Run& run, const std::shared_ptr<Dataset>& data, int64_t samples, double patience) {
  const int64_t before = resident(), few = std::min(kFew, samples);
  const Trial small = try_steps(run, data, few, true);
  Footprint found = small.footprint;
  found.samples = samples;
  found.measured = small.seconds * double(samples) / double(few) < patience;
  found.peak = found.measured ? try_steps(run, data, samples, true).peak - before
                              : small.built - before + (small.peak - small.built) * samples / few;
  return found;
}

Footprint count(Run& run, const std::shared_ptr<Dataset>& data) {
  Footprint found = try_steps(run, data, 1, false).footprint;
  found.peak = found.state + found.gradients;
  return found;
}

bool out_of_memory(const std::string& message) {
  return message.find("bad_alloc") != std::string::npos ||
         message.find("allocate memory") != std::string::npos;
}

// `work`, with running out of memory said in words.
Footprint fenced(int64_t available, const std::function<Footprint()>& work) {
  const Fence fence(available);
  const auto too_large = [&](const std::string& message) {
    require(!out_of_memory(message), Exit::usage,
            "needs more than the {} that a rank may use; start fewer ranks a host, ask for more memory (srun "
            "--mem), or make nets or batch smaller",
            text_of_bytes(double(available)));
  };
  try {
    return work();
  } catch (const c10::Error& e) {
    too_large(e.what_without_backtrace());
    throw;
  } catch (const std::exception& e) {
    too_large(e.what());
    throw;
  }
}

json to_json(const Footprint& f) {
  return {f.state, f.gradients, f.peak, f.samples, f.measured, f.available, f.copy};
}
Footprint footprint_of(const json& j) {
  return {.state = j[0],
          .gradients = j[1],
          .peak = j[2],
          .samples = j[3],
          .measured = j[4],
          .available = j[5],
          .copy = j[6]};
}

// The same words from all ranks that opened the same.
Verdict describe_data(const json& facts, bool same) {
  const std::string found =
      fmt::format("{} samples of {} in {} shard{}, {}", facts.at("samples").get<int64_t>(),
                  facts.at("schema").get<std::string>(), facts.at("shards").get<int64_t>(),
                  plural(facts.at("shards")), text_of_bytes(facts.at("bytes")));
  if (same) return {Status::ok, found};
  return {Status::failure,
          fmt::format("{}, fingerprint {}", found, facts.at("fingerprint").get<std::string>()),
          "other ranks see another data set under this name: copy it anew, or put it where all hosts see the "
          "same"};
}

Lines read_samples(const Comm& comm, const OpenData& data, int64_t samples, double limit) {
  const int64_t n = std::min(samples, data.set->size());
  const Answers answers =
      ask(comm, "checksums", limit, [=, set = data.set, rank = comm.rank(), ranks = comm.size()]() -> json {
        const double begin = trace::now();
        for (int64_t i = 0; i < n; ++i)
          set->read({(set->size() * i + set->size() * rank / ranks) / n % set->size()});
        return double(n) / (trace::now() - begin);
      });
  return all("checksums", answers, "see `saddle check`", [&](const Answers& of_ranks) -> Verdict {
    double slowest = 1e300;
    for (const Answer& a : of_ranks) slowest = std::min(slowest, a.facts.get<double>());
    return {Status::ok,
            fmt::format("{} samples{} are whole, read singly at {:.0f} a second{}; `saddle check` reads all",
                        n, comm.size() > 1 ? " a rank" : "", slowest, comm.size() > 1 ? " or more" : "")};
  });
}

// That lie in the run's folder at once, over the whole training.
int64_t most_checkpoints(const TrainOptions& o) {
  const int64_t milestones = o.checkpoint_milestones > 0 ? o.steps / o.checkpoint_milestones : 0;
  return o.checkpoint_keep + milestones + (o.checkpoint_best.empty() ? 0 : 1) +
         1;  // a new one is whole before the oldest goes
}

}  // namespace

Lines check_data(const Comm& comm, const std::string& folder, int64_t samples, double limit, OpenData& data) {
  auto opened = std::make_shared<OpenData>();
  const Answers answers = ask(comm, "data set", limit, [=]() -> json {
    opened->set = open_data(folder);
    double bytes = 0;
    for (const NamedFolder& part : parse_data(folder))
      for (const ShardInfo& shard : read_index(part.folder).shards) {
        ++opened->shards;
        bytes += double(shard.bytes);
      }
    return {{"samples", opened->set->size()},
            {"schema", describe(opened->set->schema())},
            {"shards", opened->shards},
            {"bytes", bytes},
            {"fingerprint", opened->set->fingerprint()}};
  });
  std::set<std::string> kinds;
  for (const Answer& a : answers)
    if (a.error.empty()) kinds.insert(a.facts.at("fingerprint"));
  Lines lines = each("data set", answers, "is the folder there, on this host too? `saddle check` says more",
                     [&](const json& facts) { return describe_data(facts, kinds.size() == 1); });
  const bool whole =
      std::all_of(answers.begin(), answers.end(), [](const Answer& a) { return a.error.empty(); });
  if (!whole) return lines;
  data = *opened;
  if (samples == 0) return lines;
  const Lines sums = read_samples(comm, data, samples, limit);
  return join({lines, sums});
}

Verdict verdict_on_footprint(const Footprint& f) {
  const std::string sizes =
      fmt::format("state {}, gradients {}, copy for checkpoints {}", text_of_bytes(double(f.state)),
                  text_of_bytes(double(f.gradients)), text_of_bytes(double(f.copy)));
  const std::string how = f.samples == 0
                              ? "counted without activations"
                              : fmt::format("{} for a step of {} sample{} on the CPU",
                                            f.measured ? "measured" : "estimated from a smaller step",
                                            f.samples, plural(f.samples));
  const std::string found =
      fmt::format("{} a rank at the peak ({}; {}), {} available", text_of_bytes(double(f.peak)), sizes, how,
                  text_of_bytes(double(f.available)));
  const std::string advice =
      "start fewer ranks a host, ask for more memory (srun --mem), or make nets or batch smaller (--set "
      "accumulate=N goes through the batch in parts)";
  if (f.peak > f.available) return {Status::failure, found, advice};
  if (double(f.peak) > 0.8 * double(f.available)) return {Status::warning, found, advice};
  return {Status::ok, found};
}

Lines check_training(const Comm& comm, const std::shared_ptr<Run>& run, const OpenData& data, bool step,
                     int64_t available, double limit, Needed& needed) {
  const TrainOptions options = run->options;
  const int64_t part = options.batch / options.accumulate,
                samples = std::max<int64_t>(1, (part + comm.size() - 1) / comm.size());
  run->options.accumulate = 1;
  const Answers answers = ask(comm, "recipe", limit, [=, set = data.set]() -> json {
    require(options.batch % options.accumulate == 0, Exit::usage,
            "a batch of {} does not divide into {} parts; choose --set batch or --set accumulate accordingly",
            options.batch, options.accumulate);
    at::set_num_threads(1);  // of this probe: ranks may share cores, and memory does not depend on it
    Footprint found =
        fenced(available, [&] { return step ? measure(*run, set, samples, limit / 3) : count(*run, set); });
    found.available = available;
    found.copy = found.state / comm.size();
    found.peak += found.copy;
    return to_json(found);
  });
  flight::step(-1);
  return all(
      "recipe", answers, "`saddle train RECIPE --dry-run` explains the keys", [&](const Answers& of_ranks) {
        Footprint worst = footprint_of(of_ranks[0].facts);
        for (const Answer& a : of_ranks)
          if (const Footprint f = footprint_of(a.facts); f.available - f.peak < worst.available - worst.peak)
            worst = f;
        const int64_t checkpoints = most_checkpoints(options);
        needed = {.bytes = checkpoints * worst.state, .files = checkpoints * (comm.size() + 2)};
        return verdict_on_footprint(worst);
      });
}

}  // namespace saddle::doctor
