// What an adversarial system minimises, chosen by options: a pair of losses, any terms on D, any technique.
//   const Objective objective(system, options);
//   const Adversary both{.d = d, .real = ..., .fake = ...};
//   objective.d_rows(system, d_player, {both});
//   ... .loss = [=](Step& t) { return objective.g_loss(t, both, {g({t.normal({64})})}); }
// A loss is a row of adversarial_losses(), a term one of terms(): `saddle list losses` prints both.
#pragma once

#include <map>

#include "losses/adversarial.h"
#include "models/system.h"

namespace saddle {

struct ObjectiveOptions {
  std::string loss = "non-saturating";
  int64_t n_critic = 1;                  // steps of D for one of G
  LossOptions shape;                     // of the loss
  std::map<std::string, double> weight;  // of a term, by its key; absent or 0: without
  std::map<std::string, int64_t> every;  // > 1: lazy, a row of its own every so many steps (Karras 2020)
  Schedule terms;                        // of the weights of all terms
  double lecam_decay = 0.99;
  int64_t lecam_start = 0;
  double instance_noise = 0;         // standard deviation of noise on what D sees, at step 0 ...
  int64_t instance_noise_until = 0;  // ... falling to 0 at this step; 0: at the last one
  int64_t pac = 1;                   // samples that D sees at once (PacGAN, Lin 2018)
  double top_k = 1;                  // least share of the fakes, those D likes best, that G learns from
  double top_k_decay = 0.999;        // of the share, a step
};

// Keys loss, n_critic, lsgan.a, ..., one for each term: r1, r1.every, ..., and the techniques'.
void describe(OptionTable& table, ObjectiveOptions& options);

// A discriminator and the two that it tells apart.
struct Adversary {
  std::string name = "D";  // of rows, reports and kept state
  Net d;
  std::function<Input(Step&)> real, fake;  // whole inputs of D: samples and what they are conditional on
  bool conditional = false;
  bool on_host = false;  // `fake` decides on the host (Phase::on_host)
};

// What a term may look at: one batch of D's row.
struct Round {
  Step& step;
  Input real, fake;         // not augmented, no gradient into G
  Output on_real, on_fake;  // D on them, through Objective::judge
  // D's scores of other samples, through the same door.
  std::function<torch::Tensor(const torch::Tensor& x, const torch::Tensor& y)> critic;
  const Mean& mean;  // over the ranks
};

// A term of D's loss.
struct Term {
  // What it keeps in the system is in its closures.
  struct Open {
    std::function<torch::Tensor(const Round&)> value = {};  // of one batch, a scalar, without the weight
    std::function<void(Step&)> work = {};                   // Phase::work of the row
  };
  std::string key;      // of its weight: "r1"
  std::string formula;  // without the weight
  std::string source;
  std::string usual;  // weights that papers use
  // Its gradient is each sample's own: refused for a D that ties samples together (Module::mixes_samples).
  bool per_sample = false;
  bool bound = false;                         // the weight bounds D's weights: there is no value
  bool lazy = false;                          // may have a row of its own
  bool leaf_real = false, leaf_fake = false;  // needs Round::real or fake as a leaf with a gradient
  Open (*open)(System& system, const Adversary& adversary, Player& d,
               const ObjectiveOptions& options) = nullptr;
};
const std::vector<Term>& terms();

class Objective {
 public:
  // Exit::usage for a combination that makes no sense, with the reason.
  Objective(const System& system, const ObjectiveOptions& options);
  // What a net for D must be built for: `pac` samples at once.
  static Field seen_by_d(Field field, const ObjectiveOptions& options);

  // D(T(in)): the one door to a discriminator, in D's rows and in G's.
  Output judge(Step& step, const Adversary& adversary, const Input& in) const;
  // Rows of D: `name`, of the loss and the terms of every step, `repeat` times (default n_critic), and "`name` KEY"
  // a lazy term.
  void d_rows(System& system, Player& d, const std::vector<Adversary>& all, const std::string& name = "D",
              const std::function<int64_t(int64_t step)>& repeat = {}) const;
  // Whether G's loss compares with real samples, of which a row of G then reads a batch of its own
  // (Phase::fresh).
  bool g_reads_real() const { return loss_.g_needs_real; }
  // What G minimises against one adversary; `fake` is an input of D.
  torch::Tensor g_loss(Step& step, const Adversary& adversary, const Input& fake) const;

 private:
  struct Open {
    const Term* term;
    double weight;
    Term::Open does;
  };
  torch::Tensor round(Step& step, const Adversary& adversary, const std::vector<Open>& terms,
                      bool lazy) const;
  torch::Tensor best(Step& step, const torch::Tensor& scores, const torch::Tensor& values) const;
  void require_sense(const Adversary& adversary) const;
  double weight(const Term& term) const;
  bool lazy(const Term& term) const;

  Comm comm_;
  ObjectiveOptions options_;
  AdversarialLoss loss_;
  int64_t steps_;
  Mean mean_;
};

}  // namespace saddle
