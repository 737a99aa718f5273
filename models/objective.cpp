#include "models/objective.h"

#include <ATen/ops/argsort.h>

#include <algorithm>
#include <cmath>

#include "dist/differentiable.h"
#include "dist/error.h"

namespace saddle {
namespace {

using torch::Tensor;

// Of the elements on all ranks, which may hold different numbers of them.
Mean mean_over(const Comm& comm) {
  if (comm.size() == 1) return mean_here;
  return [comm](const Tensor& x) {
    const Tensor count = torch::full({}, static_cast<double>(x.numel()), x.options().requires_grad(false));
    const Tensor sums = sum_over_ranks(torch::stack({x.sum(), count}), comm, "mean of scores");
    return sums[0] / sums[1];
  };
}

// [B, C, ...] -> [B / pac, pac * C, ...]
Tensor packed(const Tensor& x, int64_t pac) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape[0] /= pac;
  shape.at(1) *= pac;
  return x.reshape(shape);
}

Input leaf(const Input& in, bool wanted) {
  return {wanted ? in.x.detach().requires_grad_(true) : in.x.detach(), in.y, in.draw};
}

// The index of each sample in the order of falling scores.
Tensor rank_of(const Tensor& scores) {
  return at::argsort(at::argsort(scores, /*stable=*/true, /*dim=*/0, /*descending=*/true), /*stable=*/true);
}

}  // namespace

void describe(OptionTable& table, ObjectiveOptions& o) {
  const OptionTable::Group group(table, "objective");
  table.add("loss", o.loss, "pair of losses (`saddle list losses`)", adversarial_loss_names());
  table.add("n_critic", o.n_critic, "steps of D for one of G", {1, 1000});
  table.add("lsgan.a", o.shape.a, "of lsgan: D's target for fakes", {-100, 100});
  table.add("lsgan.b", o.shape.b, "of lsgan: D's target for real samples", {-100, 100});
  table.add("lsgan.c", o.shape.c, "of lsgan: G's target", {-100, 100});
  for (const Term& term : terms()) {
    table.add(term.key, o.weight[term.key],
              fmt::format("{} ({}; usual {}); 0: none",
                          term.bound ? "bound of D's weights" : "weight of " + term.formula, term.source,
                          term.usual),
              {0, 1e6});
    if (!term.lazy) continue;
    int64_t& every = o.every.try_emplace(term.key, 1).first->second;
    table.add(
        term.key + ".every", every,
        "1: part of each step of D; more: a step of its own, so often and so many times as strong (Karras "
        "2020)",
        {1, 1e6, "steps"});
  }
  describe(table, "terms", o.terms);
  table.add("lecam.decay", o.lecam_decay, "of the averages of D's scores", {0, 0.999999});
  table.add(
      "lecam.start", o.lecam_start,
      "lecam acts after this step, and follows each batch until then (code: 1000); 0: at once, averages "
      "freed of their start from zero",
      {0, 1e9, "steps"});
  table.add("label_smoothing", o.shape.label_smoothing,
            "D takes real samples for real by 1 less this, one-sided (Salimans 2016)", {0, 0.5});
  table.add("instance_noise", o.instance_noise,
            "standard deviation of noise on what D sees, falling to 0 (Sonderby 2017)", {0, 10});
  table.add("instance_noise.until", o.instance_noise_until, "where it is 0; 0: at the last step",
            {0, 1e12, "steps"});
  table.add("pac", o.pac, "samples that D sees at once (PacGAN, Lin 2018)", {1, 64, "samples"});
  table.add("top_k", o.top_k, "least share of the fakes, those D likes best, that G learns from (Sinha 2020)",
            {0.01, 1});
  table.add("top_k.decay", o.top_k_decay, "of that share, from 1 down", {0, 1});
}

Field Objective::seen_by_d(Field field, const ObjectiveOptions& options) {
  if (options.pac > 1) field.shape.at(0) *= options.pac;
  return field;
}

Objective::Objective(const System& system, const ObjectiveOptions& options)
    : comm_(system.context().comm),
      options_(options),
      loss_(adversarial_loss(options.loss, options.shape)),
      steps_(system.context().steps),
      mean_(mean_over(system.context().comm)) {
  const Context& where = system.context();
  if (options_.instance_noise_until == 0) options_.instance_noise_until = where.steps;
  for (int rank = 0; rank < where.comm.size(); ++rank) {
    const int64_t samples = share(where.part, rank, where.comm.size()).count;
    require(
        samples % options_.pac == 0, Exit::usage,
        "pac = {}: D sees so many samples at once, but rank {} of {} holds {} of a batch of {}{}: choose a "
        "batch that each rank holds whole groups of",
        options_.pac, rank, where.comm.size(), samples, where.part,
        where.parts > 1 ? " (a part of the step's)" : "");
  }
}

double Objective::weight(const Term& term) const {
  const auto found = options_.weight.find(term.key);
  return found == options_.weight.end() ? 0 : found->second;
}

bool Objective::lazy(const Term& term) const {
  const auto found = options_.every.find(term.key);
  return found != options_.every.end() && found->second > 1;
}

void Objective::require_sense(const Adversary& adversary) const {
  require(options_.pac == 1 || !adversary.conditional, Exit::usage,
          "pac = {} packs samples that may have different labels: use it with a system without labels",
          options_.pac);
  for (const Term& term : terms())
    require(
        weight(term) == 0 || !term.per_sample || !adversary.d.live->mixes_samples(), Exit::usage,
        "{} = {} is a penalty on the gradient of each sample, and the batch norm of {} ties the samples of a "
        "batch together: set d.norm to none, instance or spectral",
        term.key, weight(term), adversary.d.name);
}

Output Objective::judge(Step& step, const Adversary& adversary, const Input& in) const {
  Input seen = in;
  if (options_.instance_noise > 0) {
    const auto deviation = [from = options_.instance_noise,
                            until = options_.instance_noise_until](int64_t number) {
      return until > 0 ? from * std::max(0.0, 1 - static_cast<double>(number) / static_cast<double>(until))
                       : from;
    };
    seen.x = seen.x + step.value(deviation) * step.normal(seen.x.sizes().slice(1));
  }
  if (options_.pac > 1) seen.x = packed(seen.x, options_.pac);
  seen.draw = &step;
  return adversary.d(seen);
}

// The loss of D on one batch with these terms; of a lazy row the terms alone.
Tensor Objective::round(Step& step, const Adversary& a, const std::vector<Open>& terms, bool lazy) const {
  bool leaf_real = false, leaf_fake = false;
  for (const Open& open : terms) {
    leaf_real = leaf_real || open.term->leaf_real;
    leaf_fake = leaf_fake || open.term->leaf_fake;
  }
  Round round{.step = step,
              .real = {},
              .fake = {},
              .on_real = {},
              .on_fake = {},
              .critic =
                  [&](const Tensor& x, const Tensor& y) {
                    return judge(step, a, {x, y}).x;
                  },
              .mean = mean_};
  round.fake = leaf(a.fake(step), leaf_fake);
  round.real = leaf(a.real(step), leaf_real);
  // In this order D's running statistics take in the batches. A lazy row runs D only where a term needs it.
  if (!lazy || leaf_fake) round.on_fake = judge(step, a, round.fake);
  if (!lazy || leaf_real) round.on_real = judge(step, a, round.real);
  Tensor loss;
  if (!lazy) {
    step.report(a.name + "/real", round.on_real.x.detach());
    step.report(a.name + "/fake", round.on_fake.x.detach());
    loss = total(loss_.d(round.on_real, round.on_fake, mean_));
  }
  for (const Open& open : terms) {
    if (!open.does.value) continue;
    const Tensor value = open.does.value(round);
    step.report(a.name + "/" + open.term->key, value.detach());
    Tensor weighted = open.weight * value;
    if (!options_.terms.constant())
      weighted = weighted * step.value([schedule = options_.terms, steps = steps_](int64_t number) {
        return schedule.at(1, schedule.final, number, steps);
      });
    loss = loss.defined() ? loss + weighted : weighted;
  }
  return loss;
}

void Objective::d_rows(System& system, Player& d, const std::vector<Adversary>& all, const std::string& name,
                       const std::function<int64_t(int64_t step)>& repeat) const {
  for (const Adversary& adversary : all) require_sense(adversary);
  const auto row = [&](const std::string& row_name, const std::vector<const Term*>& chosen, bool lazy) {
    std::vector<std::vector<Open>> opened;
    for (const Adversary& adversary : all) {
      opened.emplace_back();
      for (const Term* term : chosen)
        opened.back().push_back({term, weight(*term), term->open(system, adversary, d, options_)});
    }
    Phase phase{.name = row_name, .players = {&d}};
    for (const Adversary& adversary : all) phase.on_host = phase.on_host || adversary.on_host;
    phase.loss = [self = *this, all, opened, lazy](Step& step) {
      Tensor loss;
      for (size_t i = 0; i < all.size(); ++i) {
        const Tensor one = self.round(step, all[i], opened[i], lazy);
        loss = loss.defined() ? loss + one : one;
      }
      return loss;
    };
    std::vector<std::function<void(Step&)>> work;
    for (const auto& terms : opened)
      for (const Open& open : terms)
        if (open.does.work) work.push_back(open.does.work);
    if (!work.empty())
      phase.work = [work](Step& step) {
        for (const auto& one : work) one(step);
      };
    if (lazy) {
      phase.every = options_.every.at(chosen.front()->key);
      phase.weight = static_cast<double>(phase.every);
    } else {
      phase.repeat = repeat;
      if (!repeat && options_.n_critic > 1) phase.repeat = [n = options_.n_critic](int64_t) { return n; };
    }
    system.phase(std::move(phase));
  };
  std::vector<const Term*> always;
  for (const Term& term : terms())
    if (weight(term) > 0 && !lazy(term)) always.push_back(&term);
  row(name, always, /*lazy=*/false);
  for (const Term& term : terms())
    if (weight(term) > 0 && lazy(term)) row(name + " " + term.key, {&term}, /*lazy=*/true);
}

// The mean over the samples of the global batch with the best scores. [B, ...] each.
Tensor Objective::best(Step& step, const Tensor& scores, const Tensor& values) const {
  const int64_t mine = scores.size(0);
  const Tensor score = scores.detach().flatten(1).mean(1);
  const std::vector<int64_t> rows = rows_by_rank(mine, comm_);
  const Tensor places = rank_of(rows_of_all_ranks(score, rows, comm_, "top-k"));
  const auto all = static_cast<double>(places.size(0));
  const Tensor taken =
      step.value([decay = options_.top_k_decay, least = options_.top_k, all](int64_t number) {
        return std::max(1.0, std::floor(all * std::max(least, std::pow(decay, static_cast<double>(number)))));
      });
  const Tensor mask = places.narrow(0, first_row(rows, comm_), mine).lt(taken).to(values.scalar_type());
  const double held = static_cast<double>(std::max<int64_t>(mine, 1));
  return (values.flatten(1).mean(1) * mask).sum() / taken * (all / held);
}

Tensor Objective::g_loss(Step& step, const Adversary& a, const Input& fake) const {
  const Output on_fake = judge(step, a, fake);
  Tensor on_real;
  if (loss_.g_needs_real) on_real = judge(step, a, a.real(step)).x.detach();
  const Values values = loss_.g(on_real, on_fake, mean_);
  if (options_.top_k >= 1) return total(values);
  const Tensor chosen = best(step, on_fake, values.fake);
  return values.real.defined() ? values.real.mean() + chosen : chosen;
}

}  // namespace saddle
