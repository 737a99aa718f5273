#include "data/view/gif.h"

#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "data/view/planes.h"
#include "dist/error.h"

namespace saddle {
namespace {

constexpr int64_t kMostPixels = 2731;  // a byte: codes of 12 bits, each up to 4096 pixels

struct Rectangle {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

// The records of a GIF in order. giflib's reading by lines, since DGifSlurp allocates what headers claim.
class Gif {
 public:
  Gif(const std::string& name, std::string_view bytes) : name_(name), rest_(bytes) {
    int error = 0;
    gif_ = DGifOpen(&rest_, &read, &error);
    require(gif_ != nullptr, Exit::data, "{}: expected a GIF: {}", name, gif_ ? "" : reason(error));
    try {
      require_plausible(name, gif_->SHeight, gif_->SWidth, int64_t(bytes.size()), kMostPixels);
    } catch (...) {
      close();
      throw;
    }
  }
  ~Gif() { close(); }
  Gif(const Gif&) = delete;
  Gif& operator=(const Gif&) = delete;

  int64_t height() const { return gif_->SHeight; }
  int64_t width() const { return gif_->SWidth; }

  // To the next frame, whose control is then known; false at the end.
  bool next_frame() {
    control_ = {};
    control_.TransparentColor = NO_TRANSPARENT_COLOR;
    for (;;) {
      GifRecordType type;
      check(DGifGetRecordType(gif_, &type));
      if (type == TERMINATE_RECORD_TYPE) return false;
      if (type == EXTENSION_RECORD_TYPE) extension();
      if (type == IMAGE_DESC_RECORD_TYPE) {
        check(DGifGetImageHeader(gif_));
        return true;
      }
    }
  }

  Rectangle frame() const {
    return {.top = gif_->Image.Top,
            .left = gif_->Image.Left,
            .height = gif_->Image.Height,
            .width = gif_->Image.Width};
  }
  const GraphicsControlBlock& control() const { return control_; }

  const ColorMapObject& colours() const {
    const ColorMapObject* map = gif_->Image.ColorMap ? gif_->Image.ColorMap : gif_->SColorMap;
    require(map != nullptr, Exit::data, "{}: damaged: a frame has no colours", name_);
    return *map;
  }

  // Calls `row(y, indices)` for every row of the frame; interlaced ones come in four passes.
  template <class Row>
  void rows(Row row) {
    const Rectangle where = frame();
    std::vector<GifPixelType> line(size_t(std::max<int64_t>(1, where.width)));
    constexpr std::array<std::pair<int, int>, 4> kPasses{{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
    for (const auto& [from, step] : kPasses) {
      const bool interlaced = gif_->Image.Interlace;
      for (int64_t y = interlaced ? from : 0; y < where.height; y += interlaced ? step : 1) {
        check(DGifGetLine(gif_, line.data(), int(where.width)));
        row(y, line.data());
      }
      if (!interlaced) break;
    }
  }

  void skip_rows() {
    int size;
    GifByteType* block;
    check(DGifGetCode(gif_, &size, &block));
    while (block != nullptr) check(DGifGetCodeNext(gif_, &block));
  }

 private:
  static int read(GifFileType* gif, GifByteType* to, int bytes) {
    auto& rest = *static_cast<std::string_view*>(gif->UserData);
    const size_t count = std::min(rest.size(), size_t(std::max(0, bytes)));
    std::memcpy(to, rest.data(), count);
    rest.remove_prefix(count);
    return int(count);
  }

  static std::string reason(int error) {
    const char* text = GifErrorString(error);
    return text ? text : fmt::format("giflib's error {}", error);
  }

  void check(int status) const {
    if (status != GIF_OK) fail(Exit::data, "{}: damaged GIF: {}", name_, reason(gif_->Error));
  }

  void extension() {
    int code;
    GifByteType* block;
    check(DGifGetExtension(gif_, &code, &block));
    while (block != nullptr) {
      if (code == GRAPHICS_EXT_FUNC_CODE) DGifExtensionToGCB(block[0], block + 1, &control_);
      check(DGifGetExtensionNext(gif_, &block));
    }
  }

  void close() {
    int ignored;
    DGifCloseFile(gif_, &ignored);
  }

  std::string name_;
  std::string_view rest_;
  GifFileType* gif_ = nullptr;
  GraphicsControlBlock control_{};
};

// The picture that frames are drawn upon.
class Canvas {
 public:
  Canvas(int64_t height, int64_t width) : pixels_(torch::zeros({4, height, width}, torch::kByte)) {}

  const torch::Tensor& pixels() const { return pixels_; }

  Rectangle clip(const Rectangle& r) const {
    const int64_t top = std::min(r.top, pixels_.size(1)), left = std::min(r.left, pixels_.size(2));
    return {.top = top,
            .left = left,
            .height = std::min(r.height, pixels_.size(1) - top),
            .width = std::min(r.width, pixels_.size(2) - left)};
  }

  uint8_t* at(int64_t channel, int64_t y, int64_t x) {
    return pixels_.data_ptr<uint8_t>() + (channel * pixels_.size(1) + y) * pixels_.size(2) + x;
  }

  std::vector<uint8_t> copy(const Rectangle& r) {
    std::vector<uint8_t> out(size_t(4 * r.height * r.width));
    uint8_t* to = out.data();
    each_row(r, [&](uint8_t* row) { to = std::copy_n(row, r.width, to); });
    return out;
  }

  void restore(const Rectangle& r, const std::vector<uint8_t>& copied) {
    const uint8_t* from = copied.data();
    each_row(r, [&](uint8_t* row) {
      std::copy_n(from, r.width, row);
      from += r.width;
    });
  }

  void clear(const Rectangle& r) {  // to transparent, as every viewer does
    each_row(r, [&](uint8_t* row) { std::fill_n(row, r.width, uint8_t{0}); });
  }

 private:
  template <class Work>
  void each_row(const Rectangle& r, Work work) {
    for (int64_t channel = 0; channel < 4; ++channel)
      for (int64_t y = 0; y < r.height; ++y) work(at(channel, r.top + y, r.left));
  }

  torch::Tensor pixels_;
};

void draw(Gif& gif, Canvas& canvas, const Rectangle& where) {
  const ColorMapObject& colours = gif.colours();
  const int transparent = gif.control().TransparentColor;
  gif.rows([&](int64_t y, const GifPixelType* line) {
    if (y >= where.height) return;
    for (int64_t x = 0; x < where.width; ++x) {
      const int index = line[x];
      if (index == transparent || index >= colours.ColorCount) continue;
      const GifColorType& colour = colours.Colors[index];
      const std::array<uint8_t, 4> rgba{colour.Red, colour.Green, colour.Blue, 255};
      for (int64_t c = 0; c < 4; ++c) *canvas.at(c, where.top + y, where.left + x) = rgba[size_t(c)];
    }
  });
}

}  // namespace

GifInfo gif_info(const std::string& name, std::string_view bytes) {
  Gif gif(name, bytes);
  GifInfo out{.frames = 0, .height = gif.height(), .width = gif.width()};
  for (; gif.next_frame(); ++out.frames) gif.skip_rows();
  require(out.frames > 0, Exit::data, "{}: a GIF without a frame", name);
  return out;
}

void play_gif(const std::string& name, std::string_view bytes, int64_t first, int64_t count,
              const std::function<void(const torch::Tensor&)>& show) {
  Gif gif(name, bytes);
  Canvas canvas(gif.height(), gif.width());
  for (int64_t i = 0; i < first + count; ++i) {
    require(gif.next_frame(), Exit::data, "{}: ends before frame {}", name, i + 1);
    const Rectangle where = canvas.clip(gif.frame());
    const int disposal = gif.control().DisposalMode;
    const auto before = disposal == DISPOSE_PREVIOUS ? canvas.copy(where) : std::vector<uint8_t>{};
    draw(gif, canvas, where);
    if (i >= first) show(canvas.pixels());
    if (disposal == DISPOSE_PREVIOUS) canvas.restore(where, before);
    if (disposal == DISPOSE_BACKGROUND) canvas.clear(where);
  }
}

}  // namespace saddle
