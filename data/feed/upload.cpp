#include "data/feed/upload.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "data/feed/loader.h"

namespace saddle {

Upload::Upload(torch::Device device, torch::ScalarType dtype)
    : device_(device),
      dtype_(dtype),
      stream_(c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device)) {}

void Upload::start(Batch host) {
  const c10::StreamGuard on(stream_);
  host_ = std::move(host);
  there_ = {};
  for (const auto& [name, raw] : host_) there_.set(name, raw.to(device_, /*non_blocking=*/true));
  done_ = std::make_unique<c10::Event>(device_.type());
  done_->record(stream_);
}

Batch Upload::finish() {
  const c10::Stream current = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
  done_->block(current);
  Batch out;
  for (const auto& [name, raw] : there_) {
    raw.record_stream(current);  // its memory is the copying stream's
    out.set(name, to_model(raw, device_, dtype_));
  }
  drop();
  return out;
}

// The host's memory may go: the allocator of pinned memory waits for copies from it.
void Upload::drop() {
  done_.reset();
  host_ = there_ = {};
}

}  // namespace saddle
