// The classifier whose features and opinions measures of generated images use: the system "classifier",
// trained on the data's own labels by all ranks, and kept in a folder for the next call on these data.
// Distances of its features are "FD(classifier:hash)", never "FID".
#pragma once

#include <memory>
#include <string>

#include "launch/run/train_options.h"

namespace saddle {

// What a net makes of images.
struct Seen {
  torch::Tensor features;  // [N, D]
  torch::Tensor scores;    // [N, classes]; undefined: the net tells none
};

class Classifier {
 public:
  // Collective. Trained on `data`, deterministically in the seed, and tested on `held_out`, data of the same
  // schema; without such on a share of every class that it does not see. `cache`: the folder that keeps it;
  // empty: none. Exit::data if the data have no picture [C, H, W] and label, or no class with two of them.
  Classifier(const std::shared_ptr<Dataset>& data, const std::shared_ptr<Dataset>& held_out, uint64_t seed,
             const Comm& comm, const std::string& cache);
  ~Classifier();

  Seen see(const torch::Tensor& images) const;               // floats in [-1, 1] [N, C, H, W]
  torch::Tensor predict(const torch::Tensor& images) const;  // int64 [N]
  double accuracy() const { return accuracy_; }              // on samples it has not seen
  double majority_share() const { return majority_; }  // of those in their commonest class: a blind guess's
  std::string name() const;                            // "classifier:1a2b3c4d", of its weights

 private:
  void train(const std::shared_ptr<Dataset>& data, uint64_t seed);
  void test(const Dataset& data, uint64_t seed);
  bool load(const std::string& path);
  void save(const std::string& path) const;
  Comm comm_;
  std::string field_;  // of the pictures
  std::unique_ptr<System> system_;
  double accuracy_ = 0, majority_ = 0;
};

// The folder for what is expensive and may be made again: $SADDLE_CACHE, else $XDG_CACHE_HOME/saddle or
// $HOME/.cache/saddle; empty without any of them, or where SADDLE_CACHE is empty.
std::string cache_folder();

}  // namespace saddle
