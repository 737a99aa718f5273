// Mean output of the system's net D, which sees samples in batches as when it is trained, for it may compare them
// (LTFB, Jacobs 2017, section 3). Two trainers' critics have no common scale.
#include "launch/evaluate/metric.h"
#include "models/evaluating.h"

namespace saddle {
namespace {

using nlohmann::json;

class Critic final : public Meter {
 public:
  Critic(Net d, const Comm& comm) : d_(std::move(d)), comm_(comm) {}
  void add(const Piece& piece) override {
    const at::NoGradGuard no_grad;
    const Evaluating evaluating({d_.live});
    const torch::Tensor y = piece.samples.has("label") ? piece.samples["label"] : torch::Tensor();
    const torch::Tensor out =
        d_({(*piece.samples.begin()).second.to(d_.dtype), y}).x.to(torch::kDouble).cpu();
    sums_ += torch::stack({out.sum(), torch::full_like(out.sum(), static_cast<double>(out.numel()))});
  }
  json result() override {
    const torch::Tensor all = sum_of_all_ranks(sums_, comm_, "critic");
    return {{"critic", (all[0] / all[1]).item<double>()}};
  }

 private:
  Net d_;
  Comm comm_;
  torch::Tensor sums_ = torch::zeros({2}, torch::kDouble);
};

std::string misfit(const MetricContext& c) {
  return c.system && c.system->find("D") ? "" : "needs a system with a net D";
}

}  // namespace

Metric critic_metric() {
  return {.name = "critic",
          .about = "mean output of the system's own discriminator",
          .key = "critic",
          .higher_is_better = true,
          .standard = false,
          .in_batches = true,
          .misfit = misfit,
          .prepare = [](const MetricContext& c) {
            return [d = *c.system->find("D"), comm = c.comm] { return std::make_unique<Critic>(d, comm); };
          }};
}

}  // namespace saddle
