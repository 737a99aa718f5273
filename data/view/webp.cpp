// WebP by libwebp.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>
#include <vector>

#include "data/view/codecs.h"
#include "data/view/exif.h"
#include "data/view/planes.h"
#include "dist/error.h"

namespace saddle {
namespace {

// A picture of one colour takes no bit a pixel, only its head.
constexpr int64_t kPixelsPerByte = 1 << 20;

const char* words_of(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return "not enough memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it uses what libwebp does not support";
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "it ends too early";
    default:
      return "its bits make no picture";
  }
}

void ensure(VP8StatusCode status, const std::string& name) {
  require(status == VP8_STATUS_OK, Exit::data, "{}: damaged WebP: {}", name, words_of(status));
}

const uint8_t* data_of(std::string_view bytes) {
  return reinterpret_cast<const uint8_t*>(bytes.data());
}

WebPBitstreamFeatures features_of(const std::string& name, std::string_view bytes) {
  WebPBitstreamFeatures out;
  ensure(WebPGetFeatures(data_of(bytes), bytes.size(), &out), name);
  require(!out.has_animation, Exit::data,
          "{}: an animated WebP, expected a still picture: save its frames as pictures", name);
  return out;
}

// Exit::data if EXIF is announced and lies behind the bytes that are there.
int orientation_of(const std::string& name, std::string_view bytes) {
  const WebPData data{data_of(bytes), bytes.size()};
  WebPDemuxState state;
  const std::unique_ptr<WebPDemuxer, void (*)(WebPDemuxer*)> demuxer(WebPDemuxPartial(&data, &state),
                                                                     WebPDemuxDelete);
  if (!demuxer || !(WebPDemuxGetI(demuxer.get(), WEBP_FF_FORMAT_FLAGS) & EXIF_FLAG)) return 1;
  require(state == WEBP_DEMUX_DONE, Exit::data, "{}: damaged WebP: {}", name,
          words_of(VP8_STATUS_NOT_ENOUGH_DATA));
  WebPChunkIterator chunk;
  const bool found = WebPDemuxGetChunk(demuxer.get(), "EXIF", 1, &chunk);
  const int out =
      found ? exif_orientation({reinterpret_cast<const char*>(chunk.chunk.bytes), chunk.chunk.size}) : 1;
  WebPDemuxReleaseChunkIterator(&chunk);
  return out;
}

void decode_into(std::vector<uint8_t>& pixels, int width, int channels, const std::string& name,
                 std::string_view bytes) {
  WebPDecoderConfig how;
  require(WebPInitDecoderConfig(&how), Exit::bug, "libwebp is of another version than its headers");
  how.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
  how.output.is_external_memory = 1;
  how.output.u.RGBA = {.rgba = pixels.data(), .stride = width * channels, .size = pixels.size()};
  ensure(WebPDecode(data_of(bytes), bytes.size(), &how), name);
}

}  // namespace

PictureInfo webp_info(const std::string& name, std::string_view bytes) {
  const WebPBitstreamFeatures found = features_of(name, bytes);
  return {.channels = found.has_alpha ? 4 : 3,
          .height = found.height,
          .width = found.width,
          .orientation = orientation_of(name, bytes)};
}

Decoded decode_webp(const std::string& name, std::string_view bytes, Palette) {
  const PictureInfo info = webp_info(name, bytes);
  require_plausible(name, info.height, info.width, int64_t(bytes.size()), kPixelsPerByte);
  std::vector<uint8_t> pixels(size_t(info.height * info.width * info.channels));
  decode_into(pixels, int(info.width), int(info.channels), name, bytes);
  return {.pixels = to_planes(pixels.data(), info.channels, info.height, info.width),
          .orientation = info.orientation};
}

}  // namespace saddle
