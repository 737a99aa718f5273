#include "models/draw.h"

#include "dist/error.h"

namespace saddle {
namespace {

bool same(const Range& a, const Range& b) {
  return a.first == b.first && a.count == b.count;
}

// Sets a value until the end of the scope.
template <class T>
struct Until {
  Until(T& place, T value) : place(place), before(std::exchange(place, value)) {}
  ~Until() { place = before; }
  T& place;
  T before;
};

}  // namespace

torch::Tensor Draw::latent(int64_t size) {
  return answer({Tape::Request::Kind::latent, {size}});
}

torch::Tensor Draw::uniform(at::IntArrayRef shape) {
  return answer({Tape::Request::Kind::uniform, shape.vec()});
}

torch::Tensor Draw::labels(int64_t classes) {
  return answer({Tape::Request::Kind::labels, {}, classes});
}

torch::Tensor Draw::answer(const Tape::Request& request) {
  if (where_.replay && request.kind != Tape::Request::Kind::labels) {
    std::vector<int64_t> sizes{count()};
    sizes.insert(sizes.end(), request.shape.begin(), request.shape.end());
    return where_.replay(sizes);
  }
  const int64_t call = calls_++;
  if (playing_) {
    require(played_ < playing_->entries.size() && playing_->entries[played_].request == request &&
                same(playing_->entries[played_].samples, where_.samples),
            Exit::bug, "draw {} differs from the step before: draws must not change from step to step",
            played_);
    return playing_->entries[played_++].values;
  }
  torch::Tensor values = make(request, call, where_.samples);
  if (recording_) recording_->entries.push_back({request, where_.samples, call - recorded_from_, values});
  return values;
}

torch::Tensor Draw::make(const Tape::Request& request, int64_t call, Range samples) const {
  const Stream stream(where_.seed, where_.purpose,
                      static_cast<uint64_t>(where_.step) << 20 | static_cast<uint64_t>(call));
  switch (request.kind) {
    case Tape::Request::Kind::latent:
      return normal(stream, samples, request.shape, where_.dtype).to(where_.device);
    case Tape::Request::Kind::uniform:
      return saddle::uniform(stream, samples, request.shape, where_.dtype).to(where_.device);
    case Tape::Request::Kind::labels:
      return integers(stream, samples, request.classes).to(where_.device);
  }
  fail(Exit::bug, "unknown draw");
}

Tape Draw::record(const std::function<void()>& work) {
  Tape tape;
  recorded_from_ = calls_;
  const Until until(recording_, &tape);
  work();
  tape.calls = calls_ - recorded_from_;
  return tape;
}

void Draw::play(const Tape& tape, const std::function<void()>& work) {
  const Until until(playing_, &tape);
  played_ = 0;
  work();
  require(played_ == tape.entries.size(), Exit::bug,
          "{} draws, but {} in the step before: draws must not change from step to step", played_,
          tape.entries.size());
}

void Draw::refill(const Tape& tape) {
  for (const Tape::Entry& entry : tape.entries)
    torch::Tensor(entry.values).copy_(make(entry.request, calls_ + entry.call, entry.samples));
  calls_ += tape.calls;
}

}  // namespace saddle
