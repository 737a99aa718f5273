#include "data/pack/load.h"

#include "data/pack/files/room.h"
#include "dist/error.h"

namespace saddle {
namespace {

constexpr int64_t kHead = 1 << 14, kMore = 1 << 20;
constexpr int64_t kBeside = 64 << 20;  // profiles, thumbnails, and the films that telephones append

// As much of a file as was read to learn its size.
struct Seen {
  std::string bytes = {};
  PictureInfo info = {};
};

double pixel_bytes(const PictureInfo& info) {
  return double(info.height) * double(info.width) * double(info.channels) * double(info.bits / 8);
}

void require_size(const std::string& path, const PictureInfo& info, int64_t most) {
  require_room(path, fmt::format("{}x{} pixels", info.height, info.width), pixel_bytes(info), most);
}

// No encoder makes twice its pixels of them.
void require_proportion(const std::string& path, const PictureInfo& info, int64_t bytes) {
  require(double(bytes) <= 2 * pixel_bytes(info) + kBeside, Exit::data,
          "{}: expected at most {:.0f} MiB for {}x{} pixels, found {}; save the picture anew", path,
          (2 * pixel_bytes(info) + kBeside) / (1 << 20), info.height, info.width, bytes >> 20);
}

Seen read_whole(const Files& files, size_t i, Exif exif, int64_t most) {
  Seen out{.bytes = files.read_whole(i, most)};
  out.info = picture_info(files.path(i), out.bytes, exif);
  require_size(files.path(i), out.info, most);
  return out;
}

// By the first `head` bytes, or more where they end within the header; TIFF may have it anywhere.
Seen look(const Files& files, size_t i, Exif exif, int64_t most, int64_t head) {
  const std::string path = files.path(i);
  const int64_t bytes = files.bytes(i);
  for (; head < bytes && head <= kBeside; head = head < kMore ? kMore : head << 6) {
    Seen out{.bytes = files.read(i, head)};
    require_picture(path, out.bytes);
    if (!head_suffices(out.bytes)) break;
    try {
      out.info = picture_info(path, out.bytes, exif);
    } catch (const Error& error) {
      if (error.kind != Exit::data || head == kBeside) throw;
      continue;
    }
    require_size(path, out.info, most);
    require_proportion(path, out.info, bytes);
    return out;
  }
  return read_whole(files, i, exif, most);
}

// All bytes of a picture that may be decoded. Small files are read at once.
Seen load(const Files& files, size_t i, Exif exif, int64_t most) {
  Seen out = look(files, i, exif, most, kMore);
  if (int64_t(out.bytes.size()) < files.bytes(i)) out.bytes = files.read_whole(i, most);
  return out;
}

}  // namespace

PictureInfo info_of(const Files& files, size_t i, Exif exif, int64_t most) {
  return look(files, i, exif, most, kHead).info;
}

PictureInfo whole_info_of(const Files& files, size_t i, Exif exif, int64_t most) {
  return picture_info(files.path(i), load(files, i, exif, most).bytes, exif);
}

torch::Tensor load_picture(const Files& files, size_t i, Exif exif, int64_t most) {
  return decode_picture(files.path(i), load(files, i, exif, most).bytes, exif);
}

torch::Tensor load_mask(const Files& files, size_t i, Exif exif, int64_t most) {
  return decode_mask(files.path(i), load(files, i, exif, most).bytes, exif);
}

}  // namespace saddle
