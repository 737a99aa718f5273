// The system "faulty": gan-ns, whose D loss injects one fault, at one step, on one rank, and then leaves a
// mark. SADDLE_FAULT="KIND RANK STEP" says which; SADDLE_FAULT_PACE makes each step last that many
// milliseconds. SADDLE_FAULT_RECORD names a file that takes a line of each rank and step: the samples it was
// given. With penalty_every it has a lazy gradient penalty.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "data/checksum.h"
#include "dist/error.h"
#include "dist/file.h"
#include "losses/penalty.h"
#include "models/gan.h"

namespace saddle {
namespace {

struct Options : GanOptions {
  Options() { g = d = {.width = 128}; }
  int64_t penalty_every = 0;
};

void describe(OptionTable& table, Options& options) {
  saddle::describe(table, options);
  table.add("penalty_every", options.penalty_every, "steps from one penalty to the next; 0: none", {0, 1e6});
}

std::string environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value ? value : otherwise;
}

void sleep_ms(int64_t ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

struct Fault {
  std::string kind;
  int rank = -1;
  int64_t step = 0, pace = std::stoll(environment("SADDLE_FAULT_PACE", "0"));

  Fault() { std::istringstream(environment("SADDLE_FAULT", "none -1 0")) >> kind >> rank >> step; }
  // When the fault was injected, for who measures how long its consequences take.
  void mark() const {
    if (const char* path = std::getenv("SADDLE_FAULT_MARK")) write_file(path, kind);
  }
};

// "step rank id id ...", where an id is the hash of a sample's bytes; one write, so that lines stay whole.
void record(const torch::Tensor& samples, int64_t step, int rank) {
  const char* path = std::getenv("SADDLE_FAULT_RECORD");
  if (!path) return;
  std::string line = fmt::format("{} {}", step, rank);
  const torch::Tensor rows = samples.contiguous();
  const size_t bytes = rows.size(0) ? rows.nbytes() / size_t(rows.size(0)) : 0;
  for (int64_t i = 0; i < rows.size(0); ++i)
    line += " " + hex(checksum(static_cast<const char*>(rows.const_data_ptr()) + size_t(i) * bytes, bytes));
  line += "\n";
  const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  require(file >= 0 && write(file, line.data(), line.size()) == ssize_t(line.size()), Exit::io,
          "{}: cannot write", path);
  close(file);
}

[[noreturn]] void sleep_for_ever() {
  for (;;) sleep_ms(1000);
}

[[noreturn]] void spin_for_ever() {
  for (volatile uint64_t turns = 0;;) turns = turns + 1;
}

void flip_a_bit(torch::Tensor& weights) {
  auto* bits = static_cast<uint32_t*>(weights.data_ptr());
  bits[7] ^= 1;  // the last of the mantissa: no loss will show it
}

// What happens on the chosen rank in the forward pass of D.
void inject(const Fault& fault, const Comm& comm, Player& g) {
  fault.mark();
  const std::string& kind = fault.kind;
  if (kind == "throw") throw std::runtime_error("the user's code threw this");
  if (kind == "sleep") sleep_for_ever();
  if (kind == "spin") spin_for_ever();
  if (kind == "segv") *static_cast<volatile int*>(nullptr) = 1;
  if (kind == "abort") std::abort();
  if (kind == "kill") raise(SIGKILL);
  if (kind == "exit") std::exit(3);
  if (kind == "_exit") std::_Exit(3);
  if (kind == "oom") torch::empty({int64_t{1} << 50}, torch::kByte).fill_(1);
  if (kind == "flip") flip_a_bit(g.replica.weights());
  if (kind == "extra") comm.all_reduce(torch::zeros({3}), Reduce::sum, "extra");
}

torch::Tensor faulty(const torch::Tensor& loss, const Fault& fault, const Comm& comm, Player& g,
                     int64_t step) {
  if (fault.pace > 0) sleep_ms(fault.pace);
  const bool here = fault.rank == comm.rank();
  if (fault.kind == "slow" && here && step >= fault.step) sleep_ms(50);
  if (step != fault.step || fault.rank < 0) return loss;
  if (here) inject(fault, comm, g);
  if (fault.kind == "omit" && !here) comm.all_reduce(torch::zeros({3}), Reduce::sum, "omitted");
  return fault.kind == "nan" && here ? loss * NAN : loss;
}

// "skip": the rank leaves out a phase, its backward pass and the reduction of its gradients.
int64_t repetitions(const Fault& fault, const Comm& comm, int64_t step) {
  if (fault.kind != "skip" || step != fault.step || fault.rank != comm.rank()) return 1;
  fault.mark();
  return 0;
}

System build(const Options& options, const Schema& data, Context context) {
  const Fault fault;
  const Comm comm = context.comm;
  const AdversarialLoss loss = adversarial_loss("non-saturating");
  System system(std::move(context));
  const Gan gan = make_gan(system, options, data);
  Player& g = system.player("g", {gan.g}, options.g_adam);
  Player& d = system.player("d", {gan.d}, options.d_adam);
  system.phase({.name = "D", .players = {&d}, .loss = [=, &g](Step& step) {
                  const Input fake = gan.fake(step), real = gan.real(step);
                  record(real.x, step.number, comm.rank());
                  return faulty(total(loss.d(gan.d(real), gan.d(fake), mean_here)), fault, comm, g,
                                step.number);
                }});
  if (options.penalty_every > 0)
    system.phase({.name = "GP",
                  .players = {&d},
                  .loss =
                      [=](Step& step) {
                        const auto critic = [&](const torch::Tensor& x) { return gan.d({x}).x; };
                        return gradient_penalty(critic, gan.real(step).x, gan.fake(step).x, step.uniform());
                      },
                  .every = options.penalty_every,
                  .weight = static_cast<double>(options.penalty_every)});
  system.phase({.name = "G",
                .players = {&g},
                .loss = [=](Step& step) { return total(loss.g({}, gan.d(gan.fake(step)), mean_here)); },
                .repeat = [=](int64_t step) { return repetitions(fault, comm, step); }});
  return system;
}

SADDLE_SYSTEM(describe, build, .name = "faulty", .about = "gan-ns with a fault, for tests", .paper = "none",
              .modality = "images or points");

}  // namespace
}  // namespace saddle
