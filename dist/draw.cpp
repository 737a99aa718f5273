#include "dist/draw.h"

#include "dist/error.h"

namespace saddle {
namespace {

using Kind = Tape::Request::Kind;

bool same(const Range& a, const Range& b) {
  return a.first == b.first && a.count == b.count;
}

std::vector<int64_t> rows_of(int64_t count, std::vector<int64_t> shape) {
  shape.insert(shape.begin(), count);
  return shape;
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

torch::Tensor Draw::normal(at::IntArrayRef shape) {
  return answer({Kind::normal, shape.vec()});
}

torch::Tensor Draw::uniform(at::IntArrayRef shape) {
  return answer({Kind::uniform, shape.vec()});
}

torch::Tensor Draw::integers(int64_t high) {
  return answer({Kind::integers, {}, high});
}

torch::Tensor Draw::noise(at::IntArrayRef shape) {
  return answer({Kind::noise, shape.vec()});
}

torch::Tensor Draw::shared(at::IntArrayRef shape) {
  return answer({Kind::shared, shape.vec()});
}

torch::Tensor Draw::value(std::function<double(int64_t step)> of) {
  return answer({Kind::value, {}, 0, std::move(of)});
}

torch::Tensor Draw::answer(Tape::Request request) {
  if (where_.replay && (request.kind == Kind::normal || request.kind == Kind::uniform)) {
    return where_.replay(rows_of(count(), request.shape));
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
  if (recording_)
    recording_->entries.push_back({std::move(request), where_.samples, call - recorded_from_, values});
  return values;
}

torch::Tensor Draw::make(const Tape::Request& request, int64_t call, Range samples) const {
  const uint64_t draw = static_cast<uint64_t>(where_.step) << 20 | static_cast<uint64_t>(call);
  const Stream stream(where_.seed, where_.purpose, draw);
  const auto options = torch::dtype(where_.dtype).device(where_.device);
  switch (request.kind) {
    case Kind::noise:
      if (!where_.noise || where_.replay) return torch::zeros(rows_of(samples.count, request.shape), options);
      [[fallthrough]];
    case Kind::normal:
      return saddle::normal(stream, samples, request.shape, where_.dtype).to(where_.device);
    case Kind::uniform:
      return saddle::uniform(stream, samples, request.shape, where_.dtype).to(where_.device);
    case Kind::integers:
      return saddle::integers(stream, samples, request.high).to(where_.device);
    case Kind::shared:
      return saddle::uniform(Stream(where_.seed, where_.purpose + "/shared", draw), {0, 1}, request.shape,
                             where_.dtype)
          .squeeze(0)
          .to(where_.device);
    case Kind::value:
      return torch::full({}, request.of(where_.step), options);
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
