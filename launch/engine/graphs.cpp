#include "launch/engine/graphs.h"

#include <algorithm>

#include "dist/cuda/load.h"
#include "dist/error.h"
#include "dist/flight.h"
#include "dist/log.h"

namespace saddle {
namespace {

// Libraries choose algorithms and allocate workspaces, replicas agree on the order of their buckets.
constexpr int64_t kWarmUp = 3;

bool same_place(const torch::Tensor& a, const torch::Tensor& b) {
  return a.sizes() == b.sizes() && a.strides() == b.strides() && a.scalar_type() == b.scalar_type() &&
         a.device() == b.device();
}

bool same_shapes(const Batch& a, const Batch& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && same_place(x.second, y.second);
  });
}

bool same_shapes(const Part& a, const Part& b) {
  return a.samples.first == b.samples.first && a.samples.count == b.samples.count && a.share == b.share &&
         same_shapes(a.batch, b.batch);
}

Part copy_of(const Part& part) {
  Part copy{.batch = {}, .samples = part.samples, .share = part.share};
  for (const auto& [name, values] : part.batch) copy.batch.set(name, values.clone());
  return copy;
}

// Why the work could not be captured; empty if it was.
std::string reason(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

Capture cuda_capture(bool wanted, const Comm& comm) {
  if (!wanted) return {};
  if (comm.device().is_cuda()) return cuda_plugin()->capture;
  if (comm.rank() == 0) log::warn("cuda_graphs=true has no effect on device {}", comm.device().str());
  return {};
}

StepGraph::StepGraph(std::string phase, Comm comm, Capture capture, Work work)
    : phase_(std::move(phase)),
      comm_(std::move(comm)),
      capture_(std::move(capture)),
      work_(std::move(work)) {}

void StepGraph::run(Step& step, const std::vector<Part>& parts) {
  if (capture_ && runs_ < kWarmUp && ++runs_ == kWarmUp) return record(step, parts);
  if (captured_ && !captured_->graph) capture(step, parts);
  if (captured_ && fits(parts)) return replay(step, parts);
  work_(step, parts);
}

bool StepGraph::fits(const std::vector<Part>& parts) const {
  return std::equal(parts.begin(), parts.end(), captured_->parts.begin(), captured_->parts.end(),
                    [](const Part& a, const Part& b) { return same_shapes(a, b); });
}

void StepGraph::record(Step& step, const std::vector<Part>& parts) {
  captured_ = std::make_unique<Captured>();
  for (const Part& part : parts) captured_->parts.push_back(copy_of(part));
  captured_->tape = step.record([&] { work_(step, parts); });
}

// With numbers of its own to draw: those of the tape.
void StepGraph::capture(const Step& step, const std::vector<Part>& parts) {
  const flight::Doing doing(phase_ + " capture");
  Captured& c = *captured_;
  const std::string here = reason([&] {
    require(fits(parts), Exit::usage, "the shapes of its batch change from step to step");
    c.step.emplace(step);
    c.graph = capture_([this, &c] { c.step->play(c.tape, [&] { work_(*c.step, c.parts); }); });
  });
  for (const std::string& why : comm_.all_gather_text(here, phase_ + " capture")) {
    if (why.empty()) continue;
    if (comm_.rank() == 0) log::warn("phase {} runs without a CUDA graph: {}", phase_, why);
    captured_.reset();
    return;
  }
}

void StepGraph::replay(Step& step, const std::vector<Part>& parts) {
  const flight::Doing doing(phase_ + " graph");
  for (size_t i = 0; i < parts.size(); ++i)
    for (const auto& [name, values] : parts[i].batch)
      torch::Tensor(captured_->parts[i].batch[name]).copy_(values, /*non_blocking=*/true);
  step.refill(captured_->tape);
  step.batch = parts.back().batch;
  captured_->graph->replay();
}

}  // namespace saddle
