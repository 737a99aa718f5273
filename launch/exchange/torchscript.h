// TorchScript files, which PyTorch's torch.jit.load reads and runs without a line of this program. LibTorch's
// tracer records the operations of one run: what a net derives from its input's sizes becomes a constant, so
// whoever writes a file tries it with other batches (export.cpp does).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "models/module.h"

namespace saddle {

using TensorFunction = std::function<torch::Tensor(const std::vector<torch::Tensor>&)>;

struct Weights {
  Named parameters, buffers;  // dotted names become modules in modules
};

// The bytes of a TorchScript file whose forward does what `run` does with the named `inputs`. The tensors of
// `weights` are its parameters and buffers, detached and contiguous; all others are constants. `files` go
// beside it, by name, for torch.jit.load's _extra_files.
std::string write_script(const Weights& weights, const Named& inputs, const TensorFunction& run,
                         const std::map<std::string, std::string>& files);

// What torch.jit.load(...)(inputs...) gives.
TensorFunction read_script(const std::string& bytes);

}  // namespace saddle
