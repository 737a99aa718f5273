// Steps as CUDA graphs: a phase's step is captured once and then replayed, so that the host launches one
// graph in place of some hundred kernels. A captured step reads and writes the same memory each time; what is
// new in a step, its batch and its random numbers, is copied there before the replay.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dist/cuda/plugin.h"
#include "launch/engine/optimise.h"

namespace saddle {

// Calls the work once and makes a graph of what that starts on the device; nothing runs before `replay`.
// Throws if the work cannot be captured.
using Capture = std::function<std::unique_ptr<Graph>(const std::function<void()>& work)>;

// CUDA's, if `wanted` and the ranks work on CUDA, else none. A wish that the CPU cannot grant is logged.
Capture cuda_capture(bool wanted, const Comm& comm);

// The step of one phase. Some steps run as they come, to warm up; then one is captured, and all others with
// parts of the same shapes are replays. A step with other shapes runs as it comes. Results are the same, bit
// for bit, if `work` depends on its parts, its draws and tensors that stay in place, and on nothing else that
// changes from step to step: not on Step::number, not on a value that the host reads from the device.
class StepGraph {
 public:
  using Work = std::function<void(Step& step, const std::vector<Part>& parts)>;
  StepGraph(std::string phase, Comm comm, Capture capture, Work work);

  // Collective. If the capture fails on any rank all go on without it, and the log says why.
  void run(Step& step, const std::vector<Part>& parts);

 private:
  // What a graph is made of: it must outlive the graph and stay in place.
  struct Captured {
    std::vector<Part> parts;
    Tape tape;
    std::optional<Step> step;
    std::unique_ptr<Graph> graph;
  };
  bool fits(const std::vector<Part>& parts) const;
  void record(Step& step, const std::vector<Part>& parts);
  void capture(const Step& step, const std::vector<Part>& parts);
  void replay(Step& step, const std::vector<Part>& parts);

  std::string phase_;
  Comm comm_;
  Capture capture_;
  Work work_;
  int64_t runs_ = 0;
  std::unique_ptr<Captured> captured_;  // from the last warm-up step on
};

}  // namespace saddle
