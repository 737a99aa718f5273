// The terms that D's loss may have besides the pair of losses. To add one, add a row.
#include <torch/csrc/autograd/autograd.h>

#include "losses/lecam.h"
#include "losses/penalty.h"
#include "models/objective.h"

namespace saddle {
namespace {

using torch::Tensor;

Critic critic_of(const Round& round) {
  return [&round](const Tensor& x) { return round.critic(x, round.real.y); };
}

Term::Open open_gp(System&, const Adversary&, Player&, const ObjectiveOptions&) {
  return {.value = [](const Round& r) {
    return gradient_penalty(critic_of(r), r.real.x, r.fake.x, r.step.uniform());
  }};
}

// Half, so that the weight is the papers' gamma.
Term::Open open_r1(System&, const Adversary&, Player&, const ObjectiveOptions&) {
  return {.value = [](const Round& r) { return 0.5 * squared_gradient_norms(r.on_real.x, r.real.x).mean(); }};
}

Term::Open open_r2(System&, const Adversary&, Player&, const ObjectiveOptions&) {
  return {.value = [](const Round& r) { return 0.5 * squared_gradient_norms(r.on_fake.x, r.fake.x).mean(); }};
}

// Standard deviation over all elements of the global batch.
Tensor global_std(const Tensor& x, const Comm& comm) {
  const Tensor sums =
      torch::stack({torch::full({}, static_cast<double>(x.numel()), x.options()), x.sum(), x.square().sum()});
  comm.all_reduce(sums, Reduce::sum, "standard deviation");
  const Tensor mean = sums[1] / sums[0];
  return (sums[2] / sums[0] - mean.square()).clamp_min(0).sqrt();
}

Term::Open open_dragan(System& system, const Adversary&, Player&, const ObjectiveOptions&) {
  return {.value = [comm = system.context().comm](const Round& r) {
    const Tensor real = r.real.x.detach();
    return dragan(critic_of(r), real, r.step.uniform(real.sizes().slice(1)), global_std(real, comm));
  }};
}

Term::Open open_clip(System&, const Adversary&, Player& d, const ObjectiveOptions& options) {
  d.after_step.push_back(
      [&d, bound = options.weight.at("d.clip")] { d.replica.weights().clamp_(-bound, bound); });
  return {};
}

// Averages of D's mean scores on real samples and fakes, and the updates they have had. A step's regulariser
// uses the averages as its own batch moves them (the authors' code); they themselves move once a step,
// whatever the number of parts.
struct LecamState {
  Tensor kept;  // float64 [3]: real, fake, updates
  double decay;
  int64_t start;  // 0: freed of their start from zero

  Tensor moved(Step& step, const Tensor& means) const {
    const Tensor copy =
        start == 0 ? torch::zeros({}, means.options())
                   : step.value([from = start](int64_t number) { return number < from ? 1.0 : 0.0; });
    return lecam_average(kept.narrow(0, 0, 2), means, decay, copy);
  }
  // What the averages are worth at their `updates`-th update.
  Tensor freed(const Tensor& averages, const Tensor& updates) const {
    if (start > 0) return averages;
    return averages / (1 - torch::full({}, decay, updates.options()).pow(updates));
  }
};

Term::Open open_lecam(System& system, const Adversary& adversary, const ObjectiveOptions& options,
                      const std::string& key) {
  const Comm comm = system.context().comm;
  const LecamState state{
      .kept = system.keep(key + "." + adversary.name, torch::zeros({3}, torch::dtype(torch::kDouble)),
                          adversary.d.name),
      .decay = options.lecam_decay,
      .start = options.lecam_start};
  const bool one_sided = key == "lecam";
  auto sums = std::make_shared<SumOverStep>(comm, 4);  // of scores on real and fake, and their numbers
  const auto value = [state, sums, one_sided](const Round& r) {
    const at::AutoGradMode no_gradient(false);
    const Tensor real = r.on_real.x.detach(), fake = r.on_fake.x.detach();
    const auto number = [&](const Tensor& x) {
      return torch::full({}, static_cast<double>(x.numel()), x.options().dtype(torch::kDouble));
    };
    sums->add(torch::stack(
        {real.sum().to(torch::kDouble), number(real), fake.sum().to(torch::kDouble), number(fake)}));
    const Tensor means = torch::stack({r.mean(real), r.mean(fake)}).to(torch::kDouble);
    const Tensor averages = state.freed(state.moved(r.step, means), state.kept[2] + 1);
    const Tensor acts =
        r.step.value([from = state.start](int64_t step) { return from == 0 || step > from ? 1.0 : 0.0; });
    const at::AutoGradMode gradient(true);
    return lecam(r.on_real, r.on_fake, averages[0], averages[1], one_sided) * acts;
  };
  const auto work = [state, sums](Step& step) {
    const Tensor all = sums->take("lecam");
    Tensor kept = state.kept;
    kept.narrow(0, 0, 2).copy_(state.moved(step, torch::stack({all[0] / all[1], all[2] / all[3]})));
    kept[2].add_(1);
  };
  return {.value = value, .work = work};
}

}  // namespace

const std::vector<Term>& terms() {
  static const std::vector<Term> table = {
      {.key = "gp",
       .formula = "E (|grad D(x*)| - 1)^2, x* between real and fake",
       .source = "Gulrajani 2017",
       .usual = "10",
       .per_sample = true,
       .lazy = true,
       .open = open_gp},
      {.key = "r1",
       .formula = "E |grad D(x)|^2 / 2",
       .source = "Mescheder 2018",
       .usual = "0.1 to 10",
       .per_sample = true,
       .lazy = true,
       .leaf_real = true,
       .open = open_r1},
      {.key = "r2",
       .formula = "E |grad D(y)|^2 / 2, y fake",
       .source = "Mescheder 2018",
       .usual = "0.1 to 10",
       .per_sample = true,
       .lazy = true,
       .leaf_fake = true,
       .open = open_r2},
      {.key = "dragan",
       .formula = "E (|grad D(x + noise)| - 1)^2",
       .source = "Kodali 2017",
       .usual = "10",
       .per_sample = true,
       .lazy = true,
       .open = open_dragan},
      {.key = "lecam",
       .formula = "E relu(D(x) - a_fake)^2 + E relu(a_real - D(y))^2, a averages of D",
       .source = "Tseng 2021, code",
       .usual = "0.3 for hinge",
       .open = [](System& s, const Adversary& a, Player&,
                  const ObjectiveOptions& o) { return open_lecam(s, a, o, "lecam"); }},
      {.key = "lecam2",
       .formula = "E (D(x) - a_fake)^2 + E (D(y) - a_real)^2",
       .source = "Tseng 2021, eq. 3",
       .usual = "0.01 to 0.3",
       .open = [](System& s, const Adversary& a, Player&,
                  const ObjectiveOptions& o) { return open_lecam(s, a, o, "lecam2"); }},
      {.key = "d.clip",
       .formula = "none: D's weights stay within +- this",
       .source = "Arjovsky 2017",
       .usual = "0.01",
       .bound = true,
       .open = open_clip},
  };
  return table;
}

}  // namespace saddle
