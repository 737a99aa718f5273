#include "data/jpeg.h"

#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>
// jpeglib.h first: it declares what jerror.h needs.
#include <jerror.h>

#include "dist/error.h"

namespace saddle {
namespace {

// What libjpeg needs to live through a longjmp: everything with a destructor is here, nothing in `run`.
struct Jpeg {
  Jpeg() {
    decoder.err = jpeg_std_error(&errors);
    decoder.client_data = this;
    errors.error_exit = [](j_common_ptr info) { of(info).leave(); };
    errors.output_message = [](j_common_ptr) {};
    errors.emit_message = [](j_common_ptr info, int level) {
      // libjpeg paints what is missing grey and warns; for training data that is damage.
      if (level < 0 && info->err->msg_code != JWRN_EXTRANEOUS_DATA) of(info).leave();
    };
    jpeg_create_decompress(&decoder);
  }
  ~Jpeg() { jpeg_destroy_decompress(&decoder); }
  Jpeg(const Jpeg&) = delete;

  static Jpeg& of(j_common_ptr info) { return *static_cast<Jpeg*>(info->client_data); }

  [[noreturn]] void leave() {
    errors.format_message(reinterpret_cast<j_common_ptr>(&decoder), message);
    std::longjmp(on_error, 1);
  }

  // Runs one step of decoding; false if it ended in an error.
  bool run(void (*step)(Jpeg&)) {
    if (setjmp(on_error)) return false;
    step(*this);
    return true;
  }

  jpeg_decompress_struct decoder{};
  jpeg_error_mgr errors{};
  std::jmp_buf on_error{};
  char message[JMSG_LENGTH_MAX] = "";
  const std::string* bytes = nullptr;
  int64_t channels = 3;
  std::vector<uint8_t> pixels;  // [H, W, channels]
};

void read_header(Jpeg& jpeg) {
  jpeg_mem_src(&jpeg.decoder, reinterpret_cast<const unsigned char*>(jpeg.bytes->data()), jpeg.bytes->size());
  jpeg_read_header(&jpeg.decoder, TRUE);
}

void start(Jpeg& jpeg) {
  jpeg.decoder.out_color_space = jpeg.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg.decoder.dct_method = JDCT_ISLOW;  // the exact one, whatever the machine
  jpeg_start_decompress(&jpeg.decoder);
}

void read_rows(Jpeg& jpeg) {
  const size_t stride = size_t(jpeg.decoder.output_width) * size_t(jpeg.channels);
  while (jpeg.decoder.output_scanline < jpeg.decoder.output_height) {
    JSAMPROW row = jpeg.pixels.data() + jpeg.decoder.output_scanline * stride;
    jpeg_read_scanlines(&jpeg.decoder, &row, 1);
  }
  jpeg_finish_decompress(&jpeg.decoder);
}

void run(Jpeg& jpeg, const std::string& path, void (*step)(Jpeg&)) {
  require(jpeg.run(step), Exit::data, "{}: damaged JPEG: {}", path, jpeg.message);
}

}  // namespace

torch::Tensor read_jpeg(const std::string& path, const std::string& bytes, int64_t channels) {
  Jpeg jpeg;
  jpeg.bytes = &bytes;
  jpeg.channels = channels;
  run(jpeg, path, read_header);
  run(jpeg, path, start);
  const int64_t height = jpeg.decoder.output_height, width = jpeg.decoder.output_width;
  jpeg.pixels.resize(size_t(height * width * channels));
  run(jpeg, path, read_rows);
  return torch::from_blob(jpeg.pixels.data(), {height, width, channels}, torch::kByte)
      .permute({2, 0, 1})
      .contiguous()
      .clone();  // [C, H, W]; one channel is contiguous already and would stay a view
}

PictureSize jpeg_size(const std::string& path, const std::string& bytes) {
  Jpeg jpeg;
  jpeg.bytes = &bytes;
  run(jpeg, path, read_header);
  return {.channels = jpeg.decoder.num_components == 1 ? 1 : 3,
          .height = jpeg.decoder.image_height,
          .width = jpeg.decoder.image_width};
}

}  // namespace saddle
