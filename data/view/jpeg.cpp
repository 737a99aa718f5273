// JPEG by libjpeg.
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include <jpeglib.h>
// jpeglib.h first: it declares what jerror.h needs.
#include <jerror.h>

#include "data/view/codecs.h"
#include "data/view/exif.h"
#include "data/view/planes.h"
#include "dist/error.h"

namespace saddle {
namespace {

constexpr int kExif = JPEG_APP0 + 1;
// Progressive files may name the same pixels again and again; encoders write ten scans.
constexpr int kMostScans = 100;
// Two bits are the least that Huffman codes a block of 8x8 with, one in progressive files.
constexpr int64_t kPixelsPerByte = 8 * 64 * 2;

// Where libjpeg wonders and goes on, it fills in what is missing with grey: for training data that is damage.
// But for these, which leave the pixels alone: the revision of the wrapper, an Adobe marker of later days, a
// profile, stuffing between segments, and a field that only progressive pictures use.
bool is_harmless(int warning) {
  return warning == JWRN_JFIF_MAJOR || warning == JWRN_ADOBE_XFORM || warning == JWRN_BOGUS_ICC ||
         warning == JWRN_EXTRANEOUS_DATA || warning == JWRN_NOT_SEQUENTIAL;
}

// A whole file, but of a kind that libjpeg was not made for.
bool is_unsupported(int error) {
  return error == JERR_SOF_UNSUPPORTED || error == JERR_BAD_PRECISION || error == JERR_ARITH_NOTIMPL ||
         error == JERR_CCIR601_NOTIMPL || error == JERR_FRACT_SAMPLE_NOTIMPL || error == JERR_NOTIMPL ||
         error == JERR_NOT_COMPILED || error == JERR_CONVERSION_NOTIMPL;
}

// What libjpeg needs to live through a longjmp: everything with a destructor is here, nothing in `run`.
struct Jpeg {
  Jpeg(const std::string& name, std::string_view bytes) : name(name), bytes(bytes) {
    decoder.err = jpeg_std_error(&errors);
    decoder.client_data = this;
    errors.error_exit = [](j_common_ptr info) { of(info).leave(); };
    errors.output_message = [](j_common_ptr) {};
    errors.emit_message = [](j_common_ptr info, int level) {
      if (level < 0 && !is_harmless(info->err->msg_code)) of(info).leave();
    };
    jpeg_create_decompress(&decoder);
    progress.progress_monitor = [](j_common_ptr info) {
      if (of(info).decoder.input_scan_number > kMostScans) of(info).leave("it has too many scans");
    };
    decoder.progress = &progress;
  }
  ~Jpeg() { jpeg_destroy_decompress(&decoder); }
  Jpeg(const Jpeg&) = delete;

  static Jpeg& of(j_common_ptr info) { return *static_cast<Jpeg*>(info->client_data); }

  [[noreturn]] void leave(const char* reason = nullptr) {
    unsupported = !reason && is_unsupported(errors.msg_code);
    if (reason)
      std::strncpy(message, reason, sizeof message - 1);
    else
      errors.format_message(reinterpret_cast<j_common_ptr>(&decoder), message);
    std::longjmp(on_error, 1);
  }

  std::string_view reason() const {
    constexpr std::string_view kSaidAlready = "Corrupt JPEG data: ";
    std::string_view out = message;
    if (out.starts_with(kSaidAlready)) out.remove_prefix(kSaidAlready.size());
    return out;
  }

  // Runs one step of decoding; false if it ended in an error.
  bool survives(void (*step)(Jpeg&)) {
    if (setjmp(on_error)) return false;
    step(*this);
    return true;
  }

  void run(void (*step)(Jpeg&)) {
    if (survives(step)) return;
    require(!unsupported, Exit::data, "{}: a JPEG of a kind that is not read: {}; save it as an ordinary one",
            name, reason());
    fail(Exit::data, "{}: damaged JPEG: {}", name, reason());
  }

  jpeg_decompress_struct decoder{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf on_error{};
  char message[JMSG_LENGTH_MAX] = "";
  bool unsupported = false;
  const std::string& name;
  std::string_view bytes;
  std::vector<uint8_t> pixels;  // [H, W, components]
};

void read_header(Jpeg& jpeg) {
  jpeg_mem_src(&jpeg.decoder, reinterpret_cast<const unsigned char*>(jpeg.bytes.data()), jpeg.bytes.size());
  jpeg_save_markers(&jpeg.decoder, kExif, 0xffff);
  jpeg_read_header(&jpeg.decoder, TRUE);
}

// XMP uses the same marker.
int orientation_of(const Jpeg& jpeg) {
  for (const jpeg_marker_struct* each = jpeg.decoder.marker_list; each; each = each->next) {
    const std::string_view data(reinterpret_cast<const char*>(each->data), each->data_length);
    if (data.starts_with("Exif")) return exif_orientation(data);
  }
  return 1;
}

void start(Jpeg& jpeg) {
  const int components = jpeg.decoder.num_components;
  jpeg.decoder.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg.decoder.dct_method = JDCT_ISLOW;  // the exact one, whatever the machine
  jpeg_start_decompress(&jpeg.decoder);
}

void read_rows(Jpeg& jpeg) {
  const size_t stride = size_t(jpeg.decoder.output_width) * size_t(jpeg.decoder.output_components);
  while (jpeg.decoder.output_scanline < jpeg.decoder.output_height) {
    JSAMPROW row = jpeg.pixels.data() + jpeg.decoder.output_scanline * stride;
    jpeg_read_scanlines(&jpeg.decoder, &row, 1);
  }
  jpeg_finish_decompress(&jpeg.decoder);
}

// In place, [.., 4] -> [.., 3]. Adobe's programs write ink inverted, and say that they are Adobe's.
void cmyk_to_rgb(std::vector<uint8_t>& pixels, bool inverted) {
  const uint8_t flip = inverted ? 0 : 255;
  for (size_t i = 0; 4 * i < pixels.size(); ++i) {
    const int light = pixels[4 * i + 3] ^ flip;
    for (size_t c = 0; c < 3; ++c)
      pixels[3 * i + c] = uint8_t(((pixels[4 * i + c] ^ flip) * light + 127) / 255);
  }
}

}  // namespace

Decoded decode_jpeg(const std::string& name, std::string_view bytes, Palette) {
  Jpeg jpeg(name, bytes);
  jpeg.run(read_header);
  require_plausible(name, jpeg.decoder.image_height, jpeg.decoder.image_width, int64_t(bytes.size()),
                    kPixelsPerByte);
  const int orientation = orientation_of(jpeg);  // before libjpeg forgets it at the end
  jpeg.run(start);
  const int64_t height = jpeg.decoder.output_height, width = jpeg.decoder.output_width;
  int64_t channels = jpeg.decoder.output_components;
  jpeg.pixels.resize(size_t(height * width * channels));
  jpeg.run(read_rows);
  if (channels == 4) cmyk_to_rgb(jpeg.pixels, jpeg.decoder.saw_Adobe_marker), channels = 3;
  return {.pixels = to_planes(jpeg.pixels.data(), channels, height, width), .orientation = orientation};
}

PictureInfo jpeg_info(const std::string& name, std::string_view bytes) {
  Jpeg jpeg(name, bytes);
  jpeg.run(read_header);
  return {.channels = jpeg.decoder.num_components == 1 ? 1 : 3,
          .height = jpeg.decoder.image_height,
          .width = jpeg.decoder.image_width,
          .orientation = orientation_of(jpeg)};
}

}  // namespace saddle
