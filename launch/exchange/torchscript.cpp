#include "launch/exchange/torchscript.h"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/serialization/import.h>

#include <sstream>

namespace saddle {
namespace {

namespace jit = torch::jit;
using Stack = std::vector<c10::IValue>;

jit::Module make_module(const std::shared_ptr<jit::CompilationUnit>& unit) {
  jit::Module made(c10::QualifiedName("__torch__.saddle.Module"), unit, /*shouldMangle=*/true);
  made.register_attribute("training", c10::BoolType::get(), false);  // what eval() looks for
  return made;
}

// The module that holds the tensor of a dotted name, made with those on the way to it; and the last part.
std::pair<jit::Module, std::string> place_of(const jit::Module& root, const std::string& name) {
  jit::Module at = root;
  size_t from = 0;
  for (size_t dot; (dot = name.find('.', from)) != std::string::npos; from = dot + 1) {
    const std::string part = name.substr(from, dot - from);
    if (!at.hasattr(part)) at.register_module(part, make_module(root._ivalue()->compilation_unit()));
    at = at.attr(part).toModule();
  }
  return {at, name.substr(from)};
}

jit::Module make_root(const Weights& weights) {
  jit::Module root = make_module(std::make_shared<jit::CompilationUnit>());
  for (const Named* list : {&weights.parameters, &weights.buffers})
    for (const auto& [name, tensor] : *list) {
      auto [module, leaf] = place_of(root, name);
      module.register_parameter(leaf, tensor, /*is_buffer=*/list == &weights.buffers);
    }
  return root;
}

void trace(jit::Module& root, const Named& inputs, const TensorFunction& run) {
  Stack stack;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : inputs) {
    names.push_back(name);
    stack.emplace_back(tensor);
  }
  const auto traced = [&](const Stack& values) -> Stack {
    std::vector<torch::Tensor> tensors;
    for (const c10::IValue& value : values) tensors.push_back(value.toTensor());
    return {run(tensors)};
  };
  const auto unnamed = [](const torch::Tensor&) { return std::string(); };
  const auto [state, out] = jit::tracer::trace(stack, traced, unnamed, /*strict=*/true,
                                               /*force_outplace=*/false, &root, names);
  root.type()->addMethod(root._ivalue()->compilation_unit()->create_function(
      c10::QualifiedName(*root.type()->name(), "forward"), state->graph));
}

}  // namespace

std::string write_script(const Weights& weights, const Named& inputs, const TensorFunction& run,
                         const std::map<std::string, std::string>& files) {
  const at::NoGradGuard no_grad;
  jit::Module root = make_root(weights);
  trace(root, inputs, run);
  // The tracer knows weights by identity; what is written need not be views of a flat vector.
  for (const Named* list : {&weights.parameters, &weights.buffers})
    for (const auto& [name, tensor] : *list) {
      auto [module, leaf] = place_of(root, name);
      module.setattr(leaf, tensor.detach().clone(at::MemoryFormat::Contiguous));
    }
  std::ostringstream out;
  root.save(out, {files.begin(), files.end()});
  return out.str();
}

TensorFunction read_script(const std::string& bytes) {
  std::istringstream in(bytes);
  jit::Module module = jit::load(in);
  return [module](const std::vector<torch::Tensor>& inputs) mutable {
    const at::NoGradGuard no_grad;
    return module.forward({inputs.begin(), inputs.end()}).toTensor();
  };
}

}  // namespace saddle
