// Copies batches to a device on a stream of their own, while the device computes. Knows no CUDA: what a
// device's streams and events are, c10 says.
#pragma once

#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include "data/schema.h"

namespace saddle {

class Upload {
 public:
  Upload(torch::Device device, torch::ScalarType dtype);
  // Begins to copy a pinned batch; returns at once.
  void start(Batch host);
  bool started() const { return bool(done_); }
  // What was started, for use on the current stream, converted as by to_model.
  Batch finish();
  void drop();

 private:
  torch::Device device_;
  torch::ScalarType dtype_;
  c10::Stream stream_;
  std::unique_ptr<c10::Event> done_;
  Batch host_, there_;
};

}  // namespace saddle
