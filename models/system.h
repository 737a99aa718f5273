// A GAN as a table: nets, players (who learns) and phases (which player, how often, which loss). There is no
// train_step to override; the trainer runs the table and never learns a GAN's name. A system is one file in
// models/systems.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "data/schema.h"
#include "dist/replica.h"
#include "dist/state.h"
#include "dist/stats.h"
#include "models/draw.h"
#include "models/module.h"
#include "models/optimizer.h"
#include "models/options.h"
#include "models/precision.h"

namespace saddle {

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
};

// A net of the table, cheap to copy. `average` shadows it once System::average has been called.
struct Net {
  std::string name;
  std::shared_ptr<Network> live;
  std::shared_ptr<Network> average;
  torch::ScalarType dtype = torch::kFloat, arithmetic = torch::kFloat;  // Context's
  bool channels_last = false;
  torch::Tensor operator()(const torch::Tensor& x, const torch::Tensor& y = {}) const;
  // What samples are drawn from: the average, or the live net if `raw` or without an average.
  Network& shown(bool raw) const { return raw || !average ? *live : *average; }
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
  int64_t number;  // from 0
  Batch batch;     // this rank's slice
  Stats& stats;
  // A single number is a mean over this rank's samples and counts as that many.
  void report(const std::string& name, const torch::Tensor& values) {
    stats.report(name, values, values.dim() == 0 ? count() : 1);
  }
};

// A row of the table: `loss` is minimised over `player`'s parameters, all others frozen, `repeat` times every
// `every` steps from step `from` until before `until`. Its loss is the mean over this rank's slice; it is
// scaled by `every`.
struct Phase {
  std::string name;
  Player* player = nullptr;
  std::function<torch::Tensor(Step&)> loss;
  std::function<int64_t(int64_t step)> repeat = {};  // default once; each repetition has a fresh batch
  int64_t every = 1;
  int64_t from = 0;
  int64_t until = INT64_MAX;
  bool due(int64_t step) const { return step >= from && step < until && step % every == 0; }
};

// What a system draws samples with: latents, labels for conditional systems, and the averaged or the raw
// weights.
struct Sampling : Draw {
  Sampling(Draw::Where where, torch::Tensor labels, bool raw)
      : Draw(std::move(where)), y(std::move(labels)), raw(raw) {}
  torch::Tensor y;  // [n], undefined for unconditional systems
  bool raw;
  std::set<std::string> nets = {};  // that were run
  torch::Tensor run(const Net& net, const torch::Tensor& x) {
    nets.insert(net.name);
    return net.shown(raw).forward(x, y);
  }
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

  // Shadows the net by an exponential moving average of its weights, updated after each step of `player`;
  // buffers are copied. The decay ramps up, min(decay, (1 + t) / (10 + t)), so that short runs forget the
  // initial weights. Call it before the net is captured by `sample`.
  void average(Net& net, Player& player, double decay);

  void phase(Phase phase) { phases_.push_back(std::move(phase)); }

  // Set by the system: samples like the data's, sampling.count() of them.
  std::function<Batch(Sampling&)> sample;
  int64_t classes = 0;  // > 0: conditional, `sample` wants labels

  // Runs `sample` in evaluation mode without gradients.
  Batch draw(Sampling& sampling);
  const Context& context() const { return context_; }
  const std::vector<Phase>& phases() const { return phases_; }
  std::vector<Net> nets() const;  // in the order they were made
  // Makes `player` the one that learns.
  void only(const Player& player);
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
  struct Average {
    std::string net;
    std::shared_ptr<Network> live, shadow;
    int64_t updates = 0;
    void update(double decay);
  };
  std::shared_ptr<Network> make(const std::string& name, const Factory& factory) const;
  Player& add_player(const std::string& name, const std::vector<Net>& nets);

  Context context_;
  std::vector<std::pair<Net, Factory>> nets_;
  std::vector<std::shared_ptr<Player>> players_;
  std::vector<std::shared_ptr<Average>> averages_;
  std::vector<Phase> phases_;
};

// The registry: one entry a system, made by SADDLE_SYSTEM at the end of its file.
struct SystemEntry {
  std::string name;
  std::string about;  // one line: what it is, and its paper
  std::string file;   // its source
  // A fresh set of the system's options, described into `table`; the returned function builds the system from
  // them.
  std::function<std::function<System(const Schema&, Context)>(OptionTable& table)> open;
};

const std::vector<SystemEntry>& systems();  // by name; Exit::bug if two have one name
// Exit::bug names the files of two entries of one name, which must lie side by side.
void require_distinct(const std::vector<SystemEntry>& entries);
const SystemEntry& system_entry(const std::string& name);  // Exit::usage names the nearest
bool register_system(SystemEntry entry);

template <class Options>
bool register_system(const char* name, const char* about, const char* file,
                     void (*describe)(OptionTable&, Options&),
                     System (*build)(const Options&, const Schema&, Context)) {
  return register_system({name, about, file, [=](OptionTable& table) {
                            auto options = std::make_shared<Options>();
                            describe(table, *options);
                            return [=](const Schema& data, Context context) {
                              return build(*options, data, std::move(context));
                            };
                          }});
}

#define SADDLE_SYSTEM(name, about, describe, build)      \
  [[maybe_unused]] static const bool saddle_registered = \
      ::saddle::register_system(name, about, __FILE__, describe, build)

}  // namespace saddle
