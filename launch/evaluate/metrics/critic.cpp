// The system's own net D, which sees samples in batches as when it is trained, for it may compare them: its mean output
// on samples (LTFB, Jacobs 2017, section 3), and on data that it was trained on and that it was not. Two
// trainers' critics have no common scale.
#include <algorithm>

#include "launch/evaluate/metric.h"
#include "models/evaluating.h"
#include "models/gan.h"

namespace saddle {
namespace {

using nlohmann::json;

// Sum and number of D's outputs.
torch::Tensor outputs(const Net& d, const torch::Tensor& x, const torch::Tensor& y) {
  const at::NoGradGuard no_grad;
  const Evaluating evaluating({d.live});
  const torch::Tensor out = d({x.to(d.dtype), y}).x.to(torch::kDouble).cpu();
  return torch::stack({out.sum(), torch::full_like(out.sum(), static_cast<double>(out.numel()))});
}

class Critic : public Meter {
 public:
  Critic(Net d, const Comm& comm) : d_(std::move(d)), comm_(comm) {}
  void add(const Piece& piece) override {
    const torch::Tensor y = piece.samples.has("label") ? piece.samples["label"] : torch::Tensor();
    sums_ += outputs(d_, (*piece.samples.begin()).second, y);
  }
  json result() override { return {{"critic", mean_of_all_ranks(sums_)}}; }

 protected:
  double mean_of_all_ranks(const torch::Tensor& sums) const {
    const torch::Tensor all = sum_of_all_ranks(sums, comm_, "critic");
    return (all[0] / all[1]).item<double>();
  }
  Net d_;
  Comm comm_;
  torch::Tensor sums_ = torch::zeros({2}, torch::kDouble);
};

class Gap final : public Critic {
 public:
  Gap(const MetricContext& c, Net d) : Critic(std::move(d), c.comm), c_(c) {}
  json result() override {
    const double fake = Critic::result().at("critic"), train = on_data(*c_.trained),
                 held_out = on_data(*c_.held_out);
    return {{"d_fake", fake}, {"d_train", train}, {"d_held_out", held_out}, {"d_gap", train - held_out}};
  }

 private:
  // Collective: of as many samples, in whole batches.
  double on_data(const Dataset& data) const {
    const int64_t count = std::min(c_.samples, data.size()),
                  most = std::max(c_.batch, count - count % c_.batch);
    torch::Tensor sums = torch::zeros({2}, torch::kDouble);
    for (int64_t first = 0; first < most; first += c_.batch) {
      Range mine = share(c_.batch, comm_.rank(), comm_.size());
      mine.first += first;
      sums += outputs(d_, field(data, main_field(data.schema()).name, mine),
                      c_.system->classes() > 0 ? field(data, "label", mine) : torch::Tensor());
    }
    return mean_of_all_ranks(sums);
  }
  torch::Tensor field(const Dataset& data, const std::string& name, Range places) const {
    return real_samples(data, name, c_.seed, places, torch::kFloat).to(comm_.device());
  }
  const MetricContext c_;
};

std::string misfit(const MetricContext& c) {
  if (!c.system || !c.system->find("D")) return "needs a system with a net D";
  if (c.pac > 1) return fmt::format("shows D samples one by one, and pac = {}", c.pac);
  if (c.samples < c.batch) return fmt::format("needs a batch of {} samples, found {}", c.batch, c.samples);
  return "";
}

std::string misfit_of_gap(const MetricContext& c) {
  if (const std::string missing = misfit(c); !missing.empty()) return missing;
  if (c.cropped) return "needs whole pictures, and data.crop is set";
  return c.held_out && c.trained
             ? ""
             : "needs data that were not trained on: data.held_out, or data/train beside data/validation";
}

}  // namespace

Metric gap_metric() {
  return {
      .name = "gap",
      .about = "the discriminator's outputs on data that it was trained on and has not seen: its overfitting",
      .key = "d_gap",
      .standard = false,
      .in_batches = true,
      .misfit = misfit_of_gap,
      .prepare = [](const MetricContext& c) {
        return [c, d = *c.system->find("D")] { return std::make_unique<Gap>(c, d); };
      }};
}

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
