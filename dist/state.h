// One enumeration of state. Whatever affects the next step is shown to a StateVisitor by `visit`; saving,
// loading, broadcasting, digesting and listing are visitors. State that is not visited is lost on resume.
#pragma once

#include "dist/tensor.h"

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace saddle {

class StateVisitor {
 public:
  virtual ~StateVisitor() = default;
  // `value` is defined; a visitor that loads copies into it, so views and aliases stay what they are.
  virtual void tensor(const std::string& name, torch::Tensor& value) = 0;
  virtual void number(const std::string& name, int64_t& value) = 0;
  virtual void number(const std::string& name, double& value) = 0;
  // A tensor whose first dimension has the length that was saved after loading: pools of samples, tables that
  // grow. What refers to its memory is cut off by loading.
  virtual void list(const std::string& name, torch::Tensor& value) { tensor(name, value); }
};

// A visitor that puts "prefix." before every name.
class Scope final : public StateVisitor {
 public:
  Scope(StateVisitor& inner, const std::string& prefix) : inner_(inner), prefix_(prefix + ".") {}
  void tensor(const std::string& name, torch::Tensor& value) override {
    inner_.tensor(prefix_ + name, value);
  }
  void number(const std::string& name, int64_t& value) override { inner_.number(prefix_ + name, value); }
  void number(const std::string& name, double& value) override { inner_.number(prefix_ + name, value); }
  void list(const std::string& name, torch::Tensor& value) override { inner_.list(prefix_ + name, value); }

 private:
  StateVisitor& inner_;
  std::string prefix_;
};

// State by name, as it is written to and read from a checkpoint.
struct State {
  std::map<std::string, torch::Tensor> tensors;
  std::map<std::string, nlohmann::json> numbers;
};

using Visit = std::function<void(StateVisitor&)>;

// Refers to the live tensors, without a copy.
State collect(const Visit&);
// Copies `state` into what `visit` shows. Exit::data if a name is missing, left over, or of another shape or
// dtype.
void restore(const Visit&, const State& state);
// XXH3 of all values in order of visit; equal on ranks that hold equal state.
uint64_t digest(const Visit&);
// Item by item, in order of visit.
struct Item {
  std::string name;
  uint64_t digest;
};
std::vector<Item> digests(const Visit&);

}  // namespace saddle
