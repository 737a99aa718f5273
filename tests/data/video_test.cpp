#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "data/pack/importers.h"
#include "data/pack/pack.h"
#include "data/view/gif.h"
#include "data/view/picture.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string word(int value) {
  return {char(value), char(value >> 8)};
}

// Indices in GIF's LZW: a clear code before each keeps the codes at 3 bits, and everything simple.
std::string lzw(const std::string& indices) {
  constexpr int kClear = 4, kEnd = 5;
  std::string out;
  int bits = 0, held = 0;
  const auto put = [&](int code) {
    bits |= code << held;
    for (held += 3; held >= 8; held -= 8, bits >>= 8) out += char(bits);
  };
  for (const char index : indices) put(kClear), put(index - '0');
  put(kEnd);
  return held ? out + char(bits) : out;
}

struct Frame {
  int left, top, width, height;
  std::string indices;  // '0' to '3'
  int disposal = 1;
  int transparent = -1;
  bool interlaced = false;
};

std::string frame_of(const Frame& f) {
  const int flags = f.disposal << 2 | (f.transparent >= 0 ? 1 : 0);
  std::string out = std::string("\x21\xF9\x04") + char(flags) + word(5) + char(f.transparent) + '\0';
  out += "," + word(f.left) + word(f.top) + word(f.width) + word(f.height) + char(f.interlaced ? 0x40 : 0) +
         '\2';
  const std::string data = lzw(f.indices);
  for (size_t at = 0; at < data.size(); at += 200) {
    const std::string block = data.substr(at, 200);
    out += char(block.size()) + block;
  }
  return out + '\0';
}

// Colours: 0 black, 1 red, 2 green, 3 white.
std::string gif(int width, int height, const std::vector<Frame>& frames) {
  std::string out = "GIF89a" + word(width) + word(height) + std::string("\x91\0\0", 3);
  out += std::string("\0\0\0\xFF\0\0\0\xFF\0\xFF\xFF\xFF", 12);
  for (const Frame& frame : frames) out += frame_of(frame);
  return out + ";";
}

// A video of [T, 4 or 3, H, W] as text, a string a frame: . transparent, K black, R red, G green, W white.
std::string letters(const torch::Tensor& frame) {
  std::string out;
  const auto at = [&](int64_t c, int64_t y, int64_t x) { return frame[c][y][x].item<int>(); };
  for (int64_t y = 0; y < frame.size(1); ++y)
    for (int64_t x = 0; x < frame.size(2); ++x) {
      const bool clear = frame.size(0) == 4 && at(3, y, x) == 0;
      const int red = at(0, y, x), green = at(1, y, x);
      out += clear ? '.' : (red && green ? 'W' : (red ? 'R' : (green ? 'G' : 'K')));
    }
  return out;
}

std::vector<std::string> played(const std::string& bytes, int64_t first, int64_t count) {
  std::vector<std::string> out;
  play_gif("x.gif", bytes, first, count, [&](const torch::Tensor& frame) { out.push_back(letters(frame)); });
  return out;
}

TEST(Gif, DisposesOfFramesAsTheyAsk) {
  const auto play = [](int disposal) {
    const std::string bytes =
        gif(3, 1, {{0, 0, 3, 1, "111"}, {1, 0, 2, 1, "23", disposal, 3}, {0, 0, 1, 1, "0"}});
    return played(bytes, 0, 3);
  };
  EXPECT_THAT(play(0), ElementsAre("RRR", "RGR", "KGR"));
  EXPECT_THAT(play(1), ElementsAre("RRR", "RGR", "KGR"));
  EXPECT_THAT(play(2), ElementsAre("RRR", "RGR", "K.."));  // the frame's rectangle is cleared
  EXPECT_THAT(play(3), ElementsAre("RRR", "RGR", "KRR"));  // what it covered comes back
}

TEST(Gif, StartsTransparentAndClipsFrames) {
  const std::string bytes = gif(3, 2, {{1, 1, 4, 3, "123012301230"}, {7, 7, 1, 1, "1"}});
  EXPECT_THAT(played(bytes, 0, 2), ElementsAre("....RG", "....RG"));
  EXPECT_THAT(played(bytes, 1, 1), ElementsAre("....RG"));
}

TEST(Gif, ReadsInterlacedRows) {
  const std::string rows = "0123012301";  // from above
  std::string stored;
  for (const int row : {0, 8, 4, 2, 6, 1, 3, 5, 7, 9}) stored += rows[size_t(row)];
  const std::string bytes = gif(1, 10, {{0, 0, 1, 10, stored, 1, -1, true}});
  EXPECT_THAT(played(bytes, 0, 1), ElementsAre("KRGWKRGWKR"));
}

TEST(Gif, IsNotFooledByHeaders) {
  const std::string whole = gif(4, 4, {{0, 0, 4, 4, std::string(16, '1')}, {0, 0, 2, 2, "2222"}});
  EXPECT_EQ(gif_info("x.gif", whole).frames, 2);
  std::string huge = whole;
  huge.replace(6, 4, "\xff\xff\xff\xff");
  EXPECT_THAT(error_of([&] { gif_info("x.gif", huge); }),
              AllOf(HasSubstr("x.gif"), HasSubstr("65535x65535")));
  EXPECT_THAT(error_of([&] { gif_info("x.gif", "GIF89a"); }), HasSubstr("x.gif"));
  EXPECT_THAT(error_of([&] { gif_info("x.gif", "no GIF at all"); }), HasSubstr("expected a GIF"));
  EXPECT_THAT(error_of([&] { played(whole, 1, 2); }), HasSubstr("ends before frame 3"));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(error_of([&] { gif_info("x.gif", whole.substr(0, size)); }), "") << size;
  for (size_t at = 0; at < whole.size(); ++at)
    for (const char value : {'\0', '\1', '\x7f', '\xff'}) {  // an error or frames, never a crash
      std::string bytes = whole;
      bytes[at] = value;
      error_of([&] { play_gif("x.gif", bytes, 0, gif_info("x.gif", bytes).frames, [](const auto&) {}); });
    }
}

// Two GIFs of 2 and 5 frames of 2x1, which count in binary.
struct Reel {
  Reel() {
    for (const auto& [name, count] : {std::pair{"a.gif", 2}, std::pair{"b.GIF", 5}}) {
      std::vector<Frame> frames;
      for (int i = 0; i < count; ++i)
        frames.push_back({0, 0, 2, 1, std::string{char('0' + i / 2), char('0' + i % 2)}});
      test::put(folder / name, gif(2, 1, frames));
    }
  }
  Folder folder;
};

std::vector<std::string> frames_of(const Source& source, int64_t i) {
  std::vector<std::string> out;
  const torch::Tensor video = source.sample(i)["video"][0];
  for (int64_t t = 0; t < video.size(0); ++t) out.push_back(letters(video[t]));
  return out;
}

TEST(PackVideo, TakesGifsOfAnyLength) {
  const Reel reel;
  const Source source = open_source({.source = reel.folder.path()});
  EXPECT_EQ(describe(source.schema), "video uint8 [up to 5, 3, 1, 2]");
  EXPECT_TRUE(source.schema["video"].variable);
  EXPECT_FALSE(source.serial);
  ASSERT_EQ(source.count, 2);
  EXPECT_THAT(frames_of(source, 0), ElementsAre("KK", "KR"));
  EXPECT_THAT(frames_of(source, 1), ElementsAre("KK", "KR", "RK", "RR", "GK"));
}

TEST(PackVideo, CutsLongerOnesIntoClips) {
  const Reel reel;
  const Source source = open_source({.source = reel.folder / "b.GIF", .length = 2});
  EXPECT_EQ(describe(source.schema), "video uint8 [up to 2, 3, 1, 2]");
  ASSERT_EQ(source.count, 3);
  EXPECT_THAT(frames_of(source, 2), ElementsAre("GK"));
  EXPECT_THAT(frames_of(source, 1), ElementsAre("RK", "RR"));
  EXPECT_THAT(frames_of(source, 0), ElementsAre("KK", "KR"));
}

// Of one colour, 700x500 pixels, so that three frames of them take 3 MiB.
std::string long_gif(size_t frames) {
  return gif(700, 500, std::vector<Frame>(frames, {0, 0, 700, 500, std::string(350'000, '1')}));
}

TEST(PackVideo, CountsThePixelsOfAWholeClip) {
  const Folder folder, out;
  test::put(folder / "a.gif", long_gif(2)), test::put(folder / "b.gif", long_gif(5));
  PackRequest request{.source = folder.path(), .out = out / "x"};
  request.max_sample_mib = 4;
  const std::string error = error_of([&] { pack(request); });
  EXPECT_THAT(
      error, AllOf(HasSubstr("b.gif: expected at most 4 MiB in memory at a time, found a clip of 5 frames of "
                             "500x700 pixels"),
                   HasSubstr("--length"), HasSubstr("pass --max-sample-mib 6")));
  request.skip_bad = true;
  const Packed packed = pack(request);
  EXPECT_EQ(packed.index.count, 1);
  EXPECT_EQ(packed.index.schema["video"].shape[0], 2) << "a clip without room makes no room for itself";
  request.length = 2, request.out = out / "y", request.given["length"] = "2";
  EXPECT_EQ(pack(request).index.count, 4);
  for (int i = 0; i < 5; ++i)
    test::put(folder / fmt::format("frames/v/{}.png", i),
              encode_png(torch::full({3, 500, 700}, i, torch::kByte)));
  request = {.source = folder / "frames", .out = out / "z", .as = "video"};
  request.max_sample_mib = 4;
  EXPECT_THAT(error_of([&] { pack(request); }), HasSubstr("v/0.png: expected at most 4 MiB in memory"));
}

TEST(PackVideo, AFrameIsNotDrawnIfItHasNoRoom) {
  const Folder folder;
  test::put(folder / "a.gif", gif(2000, 1000, {{0, 0, 1, 1, "1"}}) + std::string(2000, ' '));
  PackRequest request{.source = folder.path(), .size = ImageSize{4, 4}};
  request.max_sample_mib = 4;
  EXPECT_THAT(error_of([&] { open_source(request); }),
              HasSubstr("a.gif: expected at most 4 MiB in memory at a time"));
}

TEST(PackVideo, PutsTransparentGifsOverTheBackground) {
  const Folder folder;
  test::put(folder / "a.gif", gif(2, 1, {{0, 0, 1, 1, "1"}}));
  const Source white = open_source({.source = folder.path(), .background = "ffffff"});
  EXPECT_THAT(frames_of(white, 0), ElementsAre("RW"));
  const Source clear = open_source({.source = folder.path(), .channels = 4});
  EXPECT_THAT(frames_of(clear, 0), ElementsAre("R."));
}

void put_frame(const std::string& path, int value, int64_t channels = 1, int64_t height = 2) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  write_png(path, torch::full({channels, height, 2}, value, torch::kByte));
}

TEST(PackVideo, TakesFoldersOfFramesInNaturalOrder) {
  const Folder folder;
  for (const int i : {1, 2, 9, 10, 11}) put_frame(folder / fmt::format("cat/frame{}.png", i), i);
  for (const int i : {3, 20}) put_frame(folder / fmt::format("dog 2/{:03}.png", i), i);
  put_frame(folder / "dog 10/1.png", 77);
  const Source source = open_source({.source = folder.path(), .as = "video"});
  EXPECT_EQ(describe(source.schema), "video uint8 [up to 5, 1, 2, 2]");
  ASSERT_EQ(source.count, 3);
  const auto first_pixels = [&](int64_t i) {
    std::vector<int> out;
    const torch::Tensor video = source.sample(i)["video"][0];
    for (int64_t t = 0; t < video.size(0); ++t) out.push_back(video[t][0][1][1].item<int>());
    return out;
  };
  EXPECT_THAT(first_pixels(0), ElementsAre(1, 2, 9, 10, 11));
  EXPECT_THAT(first_pixels(1), ElementsAre(3, 20));
  EXPECT_THAT(first_pixels(2), ElementsAre(77));
}

TEST(PackVideo, WantsOneSize) {
  const Folder folder;
  put_frame(folder / "a/1.png", 1), put_frame(folder / "a/2.png", 1);
  put_frame(folder / "b/1.png", 1), put_frame(folder / "b/2.png", 1, 3, 4);
  PackRequest request{.source = folder.path(), .as = "video"};
  const Source source = open_source(request);
  EXPECT_THAT(error_of([&] { source.sample(1); }), AllOf(HasSubstr("b/2.png: 4x2"), HasSubstr("--size")));
  put_frame(folder / "c/1.png", 1, 1, 7);
  EXPECT_THAT(error_of([&] { open_source(request); }),
              AllOf(HasSubstr("2x2"), HasSubstr("7x2"), HasSubstr("--size")));
  request.size = ImageSize{3, 3};
  EXPECT_EQ(open_source(request).sample(1)["video"].sizes(), (std::vector<int64_t>{1, 2, 1, 3, 3}));
}

TEST(PackVideo, CountsWhatIsDamaged) {
  const Reel reel;
  const std::string whole = read_file(reel.folder / "b.GIF");
  test::put(reel.folder / "b.GIF", whole.substr(0, whole.size() - 9));  // its first frames are sound
  const Source source = open_source({.source = reel.folder.path()});
  EXPECT_EQ(source.count, 2);
  EXPECT_EQ(source.sample(0)["video"].size(1), 2);
  EXPECT_THAT(error_of([&] { source.sample(1); }), AllOf(HasSubstr("b.GIF"), HasSubstr("damaged")));
  std::filesystem::remove(reel.folder / "a.gif");
  EXPECT_THAT(error_of([&] { open_source({.source = reel.folder.path()}); }),
              AllOf(HasSubstr("none of 1 videos"), HasSubstr("b.GIF")));
}

}  // namespace
}  // namespace saddle
