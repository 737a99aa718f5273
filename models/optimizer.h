// Optimizers on one flat vector: one fused call a step, whatever the number of layers.
#pragma once

#include <memory>

#include "dist/state.h"
#include "models/options.h"
#include "models/precision.h"
#include "models/schedule.h"

namespace saddle {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // Both [P]; the gradients may be overwritten.
  virtual void step(torch::Tensor& weights, const torch::Tensor& gradients, const Rescale& rescale = {}) = 0;
  virtual void visit(StateVisitor& visitor) = 0;
  // The rates of this step, of a run of so many; before each step, outside of what is captured.
  virtual void begin_step(int64_t step, int64_t steps) = 0;
  virtual double rate() const = 0;  // the learning rate
  // A rate changes that a captured step would keep as it was.
  virtual bool changes_on_host() const { return false; }
};

struct AdamOptions {  // Kingma and Ba 2015, algorithm 1
  double lr = 2e-4;
  double beta1 = 0.5;
  double beta2 = 0.999;
  double eps = 1e-8;
  Schedule schedule = {};   // of lr
  double beta2_final = -1;  // what beta2 comes to in the time of `schedule`; < 0: it stays
};

struct RmsPropOptions {  // Tieleman and Hinton 2012, as PyTorch has it: eps outside the root
  double lr = 5e-5;
  double alpha = 0.99;
  double eps = 1e-8;
  Schedule schedule = {};  // of lr
};

void describe(OptionTable& table, const std::string& prefix, AdamOptions& options);
void describe(OptionTable& table, const std::string& prefix, RmsPropOptions& options);
// Moments like `weights`, zero.
std::unique_ptr<Optimizer> make_optimizer(const AdamOptions& options, const torch::Tensor& weights);
std::unique_ptr<Optimizer> make_optimizer(const RmsPropOptions& options, const torch::Tensor& weights);

}  // namespace saddle
