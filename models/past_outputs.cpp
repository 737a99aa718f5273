#include "models/past_outputs.h"

#include <ATen/ops/pow.h>

#include <algorithm>
#include <map>

#include "dist/differentiable.h"

namespace saddle {

using torch::Tensor;

PastOutputs::PastOutputs(System& system, int64_t numbers, double alpha)
    : comm_(system.context().comm),
      alpha_(alpha),
      numbers_(numbers),
      table_(system.keep_rows("past", torch::zeros({0, numbers + 1}, torch::dtype(system.context().dtype)))),
      step_(std::make_shared<std::vector<Seen>>()) {}

void PastOutputs::reach(int64_t rows) const {
  const int64_t more = rows - table_->size(0);
  if (more > 0) *table_ = torch::cat({*table_, torch::zeros({more, numbers_ + 1}, table_->options())});
}

std::pair<Tensor, Tensor> PastOutputs::targets(Step& step) const {
  const at::NoGradGuard no_grad;
  const Tensor id = step.batch["id"];
  if (table_->size(0) == 0)
    return {torch::zeros({id.size(0), numbers_}, table_->options()),
            torch::zeros({id.size(0)}, table_->options())};
  // Of a sample whose row is not there yet, which was not seen, row 0 stands in.
  const Tensor there = id.lt(table_->size(0));
  const Tensor rows = table_->index_select(0, torch::where(there, id, torch::zeros_like(id)));
  const Tensor times = rows.select(1, numbers_) * there;
  const Tensor part = 1 - at::pow(alpha_, times.clamp_min(1).to(torch::kDouble));
  return {rows.narrow(1, 0, numbers_) / part.to(table_->scalar_type()).unsqueeze(1),
          times.gt(0).to(table_->scalar_type())};
}

void PastOutputs::saw(Step& step, const Tensor& z) const {
  step_->push_back({step.samples().first, step.batch["id"], z.detach()});
}

void PastOutputs::update(Step& step) const {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> places, ids, values;
  for (const Seen& part : *step_) {
    places.push_back(part.first + torch::arange(part.id.size(0), part.id.options()));
    ids.push_back(part.id);
    values.push_back(part.z);
  }
  step_->clear();
  const auto all = [&](const std::vector<Tensor>& mine, const char* name) {
    return rows_of_all_ranks(torch::cat(mine), comm_, name);
  };
  const Tensor order = all(places, "past places").argsort();
  const Tensor id = all(ids, "past ids").index_select(0, order).cpu();
  const Tensor z = all(values, "past outputs").index_select(0, order);
  if (id.numel() == 0) return;
  reach(id.max().item<int64_t>() + 1);
  // The first time that each sample comes, then the second.
  std::map<int64_t, size_t> times;
  std::vector<std::vector<int64_t>> rounds;
  for (int64_t i = 0; i < id.numel(); ++i) {
    const size_t time = times[id.const_data_ptr<int64_t>()[i]]++;
    if (time == rounds.size()) rounds.emplace_back();
    rounds[time].push_back(i);
  }
  for (const std::vector<int64_t>& round : rounds) {
    const Tensor some = torch::tensor(round), rows = id.index_select(0, some).to(z.device());
    const Tensor one = z.index_select(0, some.to(z.device()));
    const Tensor old = table_->index_select(0, rows);
    const Tensor average = alpha_ * old.narrow(1, 0, numbers_) + (1 - alpha_) * one;
    table_->index_copy_(0, rows, torch::cat({average, old.narrow(1, numbers_, 1) + 1}, 1));
  }
}

}  // namespace saddle
