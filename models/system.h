// A GAN as a table: nets, players (who learns) and phases (which player, how often, which loss):
//   System s(std::move(context));
//   Net g = s.net("G", [](Maker& m) { return generator(m); }), d = s.net("D", [](Maker& m) { return
//   critic(m); }); Player& learner = s.player("g", {g}, AdamOptions()); s.phase({.name = "G", .players =
//   {&learner}, .loss = [=](Step& t) { return -d(g({t.normal({64})})).x.mean(); }});
// There is no train_step to override; the trainer runs the table and never learns a GAN's name. A system is
// one file in models/systems.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "data/schema.h"
#include "dist/draw.h"
#include "dist/replica.h"
#include "dist/state.h"
#include "dist/stats.h"
#include "models/module.h"
#include "models/optimizer.h"
#include "models/options.h"
#include "models/precision.h"

namespace saddle {

class Dataset;

// Where a system lives.
struct Context {
  Comm comm;
  uint64_t seed = 0;
  torch::ScalarType dtype = torch::kFloat;  // of weights, losses and optimizers
  // Of the arithmetic inside nets: `dtype`, or kBFloat16 or kHalf below float32. kHalf gives players a loss
  // scale.
  torch::ScalarType arithmetic = dtype;
  bool channels_last = false;  // memory format of convolutions' weights and images
  Reduction reduction = {};
  // Of the run: samples that go through the nets at once, on all ranks together, how many times a step, and
  // steps. 0: not known.
  int64_t part = 0, parts = 1, steps = 0;
  double labelled = 1;  // share of the data's samples whose class is known
};

// A net of the table, cheap to copy. `average` shadows it once System::average has been called.
struct Net {
  std::string name;
  std::shared_ptr<Network> live;
  std::shared_ptr<Network> average;
  torch::ScalarType dtype = torch::kFloat, arithmetic = torch::kFloat;  // Context's
  bool channels_last = false;
  // The live weights.
  Output operator()(const Input& in) const { return run(*live, in); }
  // Of this net or of a shadow of it: in the memory format and the arithmetic of the Context.
  Output run(Network& network, const Input& in) const;
  // What samples are drawn from: the average, or the live net if `raw` or without an average.
  Network& shown(bool raw) const { return raw || !average ? *live : *average; }
  // The module itself, for what is particular to it: an LSTM's step, a mapping's average latent. Throws
  // std::bad_cast if it is no N.
  template <class N>
  N& as(bool raw = true) const {
    return dynamic_cast<N&>(shown(raw));
  }
  // Of `shown`, by name: "G.up0.weight".
  Named parameters(bool raw) const;
  Named buffers(bool raw) const;
};

// Who learns: the parameters of its nets in one replica, one optimizer, and what follows each of its steps.
struct Player {
  std::string name;
  std::vector<std::string> nets;
  Replica replica;  // of all parameters of its nets
  std::unique_ptr<Optimizer> optimizer;
  std::optional<LossScale> loss_scale;  // for float16
  std::vector<std::function<void()>> after_step;
};

// What a loss sees of a step. It lasts over all phases of the step: draws go on, the batch is the newest one.
struct Step : Draw {
  Step(Draw::Where where, int64_t number, Stats& stats)
      : Draw(std::move(where)), number(number), stats(stats) {}
  int64_t number;  // from 0; what depends on it goes through Draw::value
  Batch batch;     // this rank's slice
  Stats& stats;
  // A single number is a mean over this rank's samples and counts as that many.
  void report(const std::string& name, const torch::Tensor& values) {
    stats.report(name, values, values.dim() == 0 ? count() : 1);
  }
};

// A row of the table, `repeat` times every `every` steps from step `from` until before `until`. Its `loss` is
// minimised over the parameters of `players`, all others frozen; it is the mean over this rank's slice, and
// runs once for each part of a batch. `work` follows the optimizer, once a repetition: what moves on
// all-reduced sums, without a gradient (SumOverStep). A row has one of the two, or both.
struct Phase {
  std::string name;
  std::vector<Player*> players = {};
  std::function<torch::Tensor(Step&)> loss = {};
  std::function<void(Step&)> work = {};      // collective
  std::function<torch::Tensor()> skip = {};  // float [1] on the device, equal on all ranks; 1: change nothing
  std::function<int64_t(int64_t step)> repeat = {};  // default once; each repetition has a fresh batch
  bool fresh = false;                                // the first one too, in place of that of the row before
  int64_t every = 1;
  int64_t from = 0;
  int64_t until = INT64_MAX;
  bool on_host = false;  // the loss decides on the host, so that no captured step can repeat it (graphs.h)
  double weight = 1;     // of the loss: a lazy row passes `every`, cadence alone scales nothing
  bool due(int64_t step) const { return step >= from && step < until && step % every == 0; }
};

// What losses add up for `work`: values of all parts of a step, and then of all ranks. Empty at the start of
// each step, hence no state.
class SumOverStep {
 public:
  SumOverStep(const Comm& comm, int64_t numbers);
  void add(const torch::Tensor& values);        // [numbers]; no gradient is kept
  torch::Tensor take(const std::string& name);  // collective: float64 [numbers], and starts again

 private:
  Comm comm_;
  torch::Tensor sums_;
};

// What a system draws samples with: latents, rows of the fields that it asks for, and the averaged or the raw
// weights.
struct Sampling : Draw {
  Sampling(Draw::Where where, Batch given, bool raw)
      : Draw(std::move(where)), given(std::move(given)), raw(raw) {}
  Batch given;  // [n, ...] a field of System::given: labels in turn, held-out images, a user's files
  bool raw;
  std::set<std::string> nets = {};  // that were run
  Output run(const Net& net, const torch::Tensor& x, const torch::Tensor& y = {}) {
    nets.insert(net.name);
    return net.run(net.shown(raw), {x, y, this});
  }
};

// How a copy of a net follows it: its weights w become beta * copy + (1 - beta) * w once a step, buffers are
// copied. beta = min(decay, (1 + t) / (10 + t)) at its step t, so that short runs forget the initial weights;
// or, with a half-life, beta = 0.5^(batch / min(half_life, ramp * images seen)) (Karras 2020).
struct Shadow {
  double decay = 0.999;
  double half_life = 0;    // images; 0: by `decay`
  double ramp = 0;         // of the images seen; 0: the whole half-life from the start
  Schedule schedule = {};  // of the half-life, from 0
};

class System {
 public:
  explicit System(Context context) : context_(std::move(context)) {}

  // Makes a net: initial weights depend on the seed and the name only.
  using Factory = std::function<std::shared_ptr<Network>(Maker&)>;
  Net net(const std::string& name, const Factory& factory);

  // Collective. The nets of a player belong to no other player; the reference stays good.
  template <class OptimizerOptions>
  Player& player(const std::string& name, const std::vector<Net>& nets, const OptimizerOptions& options) {
    Player& made = add_player(name, nets);
    made.optimizer = make_optimizer(options, made.replica.weights());
    return made;
  }

  // A net that no player trains: evaluation mode for good, weights from a safetensors file, by the net's
  // names. Checkpoints hold its hash, not its weights; a run with another file is refused. Exit::io,
  // Exit::data.
  Net frozen(const std::string& name, const Factory& factory, const std::string& file);

  // The average that samples are drawn from. Call it before the net is captured by `sample`.
  void average(Net& net, const Shadow& how);
  // Another copy that follows the net: a rollout policy, a teacher.
  Net shadow(const Net& net, const std::string& name, const Shadow& how);

  // Exit::bug for a row without loss and work, or with a loss and nobody to minimise it.
  void phase(Phase phase);

  // State beyond weights, changed in place, equal on all ranks: averages of a loss, a controller's value, a
  // dictionary. Visited as "keep.<name>"; with `owner`, a net's name, it travels with that net. Cheap to
  // copy.
  torch::Tensor keep(const std::string& name, const torch::Tensor& initial, const std::string& owner = "");
  // The same where the first extent may change: pools of samples, tables that grow.
  std::shared_ptr<torch::Tensor> keep_rows(const std::string& name, const torch::Tensor& initial,
                                           const std::string& owner = "");

  // Set by the system: samples like the data's, sampling.count() of them.
  std::function<Batch(Sampling&)> sample;
  std::vector<Field> given;  // of the data: what `sample` reads; of a conditional system its labels
  std::string target = {};   // the data's field that samples of `given` should reproduce; "": none
  // Of the labels among `given`; 0: none.
  int64_t classes() const;

  // Runs `sample` in evaluation mode without gradients.
  Batch draw(Sampling& sampling);
  // Sets the optimizers' rates for this step; before its phases.
  void begin_step(int64_t step);
  // Moves averages and shadows; after them.
  void end_step();
  std::vector<std::pair<std::string, double>> learning_rates() const;  // of each player, at this step
  const Context& context() const { return context_; }
  const std::vector<Phase>& phases() const { return phases_; }
  std::vector<Net> nets() const;  // in the order they were made
  // Makes these the ones that learn.
  void only(const std::vector<Player*>& players);
  // Weights, moments, buffers, averages: all that the next step depends on, but the step's number and the
  // data's position.
  void visit(StateVisitor& visitor);
  // The nets that `sample` runs, as one drawing shows, and all that learn together with them.
  std::set<std::string> generator();
  // What `visit` shows of these nets and of the players that train them.
  void visit(StateVisitor& visitor, const std::set<std::string>& nets);
  std::optional<Net> find(const std::string& net) const;
  // Parameters of each net, for the start of a run: "G 3.5 M".
  std::string summary() const;

 private:
  struct Follower {
    std::string state, net;  // the name of its state, and what it follows
    std::shared_ptr<Network> live, copy;
    Shadow how;
    int64_t updates = 0;
  };
  struct Kept {
    std::string name, owner;
    std::shared_ptr<torch::Tensor> value;
    bool rows;
  };
  struct Frozen {
    std::string name;
    int64_t hash;
  };
  std::shared_ptr<Network> make(const std::string& name, const Factory& factory) const;
  std::shared_ptr<Network> follow(const Net& net, const std::string& state, const Shadow& how);
  void update(Follower& follower) const;
  Player& add_player(const std::string& name, const std::vector<Net>& nets);

  Context context_;
  std::vector<std::pair<Net, Factory>> nets_;
  std::vector<std::shared_ptr<Player>> players_;
  std::vector<Follower> followers_;
  std::vector<Kept> kept_;
  std::vector<Frozen> frozen_;
  std::vector<Phase> phases_;
};

// The registry: one entry a system, made by SADDLE_SYSTEM at the end of its file.
struct SystemEntry {
  std::string name;      // "wgan-gp"
  std::string about;     // one line: what it is
  std::string paper;     // "Gulrajani 2017"
  std::string modality;  // of what it draws: "images or points"
  // What registry-wide tests make of it: small nets, and data that suit it; by default images with labels.
  std::vector<std::string> tiny = {"g.width=4", "d.width=4", "latent=6"};
  std::shared_ptr<Dataset> (*tiny_data)() = nullptr;
  // Endings of the names of state that nothing reads again, with the reason: "D.judge.bias cancels".
  std::vector<std::string> idle = {};
  // Batches carry the field "id", a sample's number in the data set, and labels may be -1, unknown
  // (data.labels).
  bool semi_supervised = false;
  std::string file = {};  // its source
  // A fresh set of the system's options, described into `table`; the returned function builds the system from
  // them.
  std::function<std::function<System(const Schema&, Context)>(OptionTable& table)> open = {};
};

const std::vector<SystemEntry>& systems();  // by name; Exit::bug if two have one name
// Exit::bug names the files of two entries of one name, which must lie side by side.
void require_distinct(const std::vector<SystemEntry>& entries);
const SystemEntry& system_entry(const std::string& name);  // Exit::usage names the nearest
bool register_system(SystemEntry entry);

template <class Options>
bool register_system(SystemEntry entry, void (*describe)(OptionTable&, Options&),
                     System (*build)(const Options&, const Schema&, Context)) {
  entry.open = [=](OptionTable& table) {
    auto options = std::make_shared<Options>();
    describe(table, *options);
    return [=](const Schema& data, Context context) { return build(*options, data, std::move(context)); };
  };
  return register_system(std::move(entry));
}

// SADDLE_SYSTEM(describe, build, .name = "mine", .about = "...", .paper = "...", .modality = "images");
#define SADDLE_SYSTEM(describe, build, ...)              \
  [[maybe_unused]] static const bool saddle_registered = \
      ::saddle::register_system(::saddle::SystemEntry{__VA_ARGS__, .file = __FILE__}, describe, build)

}  // namespace saddle
