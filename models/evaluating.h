// Networks in evaluation mode until the end of a scope, each then in the mode that it had: a frozen one stays as it is.
//   const Evaluating evaluating({net.live});
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "models/module.h"

namespace saddle {

class Evaluating {
 public:
  explicit Evaluating(const std::vector<std::shared_ptr<Network>>& nets) {
    for (const auto& net : nets) {
      before_.emplace_back(net, net->training());
      net->train(false);
    }
  }
  ~Evaluating() {
    for (const auto& [net, training] : before_) net->train(training);
  }
  Evaluating(const Evaluating&) = delete;
  Evaluating& operator=(const Evaluating&) = delete;

 private:
  std::vector<std::pair<std::shared_ptr<Network>, bool>> before_;
};

}  // namespace saddle
