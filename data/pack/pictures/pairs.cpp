// Pairs for image-to-image translation: fields a and b, of two folders whose files have the same names
// (--pair), or of one, b being made of a (--derive). Both are cropped and resized alike.
#include <algorithm>
#include <cmath>

#include "data/pack/importers.h"
#include "data/pack/pictures/picture_parts.h"
#include "dist/error.h"

namespace saddle {
namespace {

// The magnitude of Sobel's gradient, a step from black to white being white; borders continue.
torch::Tensor edges(const torch::Tensor& luma) {
  const int64_t height = luma.size(1), width = luma.size(2);
  torch::Tensor out = torch::empty({1, height, width}, torch::kByte);
  const uint8_t* from = luma.const_data_ptr<uint8_t>();
  uint8_t* to = out.data_ptr<uint8_t>();
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const auto at = [&](int64_t dy, int64_t dx) {
        return int(from[std::clamp<int64_t>(y + dy, 0, height - 1) * width +
                        std::clamp<int64_t>(x + dx, 0, width - 1)]);
      };
      const int right = at(-1, 1) + 2 * at(0, 1) + at(1, 1) - at(-1, -1) - 2 * at(0, -1) - at(1, -1);
      const int down = at(1, -1) + 2 * at(1, 0) + at(1, 1) - at(-1, -1) - 2 * at(-1, 0) - at(-1, 1);
      *to++ = uint8_t(std::min(255.0, std::round(std::hypot(right, down) / 4)));
    }
  return out;
}

struct Derivation {
  Field field;
  Fit fit;  // of what b is made from a by, before edges are sought
  bool edges = false;
};

Derivation derivation(const std::string& how, const Fit& a) {
  Derivation out{.field = {}, .fit = a};
  out.fit.crop = "none";
  if (how == "edges" || how == "grey") {
    out.fit.channels = 1;
    out.edges = how == "edges";
    if (out.edges) out.fit.bits = 8;
  } else {
    require(how == "down2" || how == "down4" || how == "down8", Exit::usage,
            "--derive: expected edges, grey, down2, down4 or down8, found {}", how);
    const int64_t factor = how.back() - '0';
    require(a.size.height % factor == 0 && a.size.width % factor == 0, Exit::usage,
            "--derive {}: expected sides that are multiples of {}, found {}x{}; pass --size", how, factor,
            a.size.height, a.size.width);
    out.fit.size = {.height = a.size.height / factor, .width = a.size.width / factor};
  }
  out.field = image_field("b", out.fit.channels, out.fit.size, out.fit.bits);
  return out;
}

Source open_derived(const PackRequest& request) {
  const FileSet files = open_pictures(request.source);
  const CommonFit fit = common_fit(*files, request);
  const Derivation derived = derivation(request.derive, fit);
  PicturePart part = picture_part("a", files, fit);
  part.fields.push_back(derived.field);
  part.add = [derived, picture = part.add](int64_t i, Batch& out) {
    picture(i, out);
    const torch::Tensor b = saddle::fit(out["a"][0], derived.fit);
    out.set("b", (derived.edges ? edges(b) : b).unsqueeze(0));
  };
  part.provenance = {{"derive", request.derive}};
  return assemble(*files, fit, {part});
}

Source open_pair(const PackRequest& request) {
  const FileSet a = open_pictures(request.source), b = open_pictures(request.pair);
  const auto order = partners(*a, *b, /*both=*/true);
  CommonFit fit_a = common_fit(*a, request);
  const CommonFit fit_b = common_fit(*b, request);
  fit_a.turned += fit_b.turned, fit_a.seen += fit_b.seen;
  fit_a.notes.insert(fit_a.notes.end(), fit_b.notes.begin(), fit_b.notes.end());
  PicturePart second = picture_part("b", b, fit_b, order);
  second.add = [=, picture = second.add](int64_t i, Batch& out) {
    require_same_aspect(*a, size_t(i), *b, order[size_t(i)], fit_b);
    picture(i, out);
  };
  second.provenance = {{"pair", b->identity()}};
  Source source = assemble(*a, fit_a, {picture_part("a", a, fit_a), second});
  leave_out(source.left_out, b->left_out());
  return source;
}

Source open(const PackRequest& request) {
  require(request.pair.empty() || request.derive.empty(), Exit::usage,
          "--pair and --derive: expected one of them, for both make the field b");
  require(!request.pair.empty() || !request.derive.empty(), Exit::usage,
          "{}: pairs need --pair FOLDER or --derive HOW", request.source);
  return request.pair.empty() ? open_derived(request) : open_pair(request);
}

}  // namespace

const Importer kPairs{
    .name = "pairs",
    .takes = "with --pair or --derive: pictures as below, each with another as fields a and b",
    .flags = "size channels bits filter crop background exif pair derive",
    .accepts = [](const PackRequest& request) -> Why {
      if ((request.pair.empty() && request.derive.empty()) || !holds_pictures(request.source)) return {};
      return request.pair.empty() ? "--derive was given" : "--pair was given";
    },
    .open = open};

}  // namespace saddle
