// Videos: folders of frames, or animated GIFs, of any length. Those longer than --length are cut into
// consecutive clips; frame rates are not looked at.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>

#include "data/pack/files/files.h"
#include "data/pack/files/room.h"
#include "data/pack/importers.h"
#include "data/pack/load.h"
#include "data/pack/pictures/picture_parts.h"
#include "data/view/gif.h"
#include "data/view/picture.h"
#include "dist/error.h"
#include "dist/file.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

bool is_gif(const std::string& name) {
  std::string tail = name.substr(stem_of(name).size());
  std::transform(tail.begin(), tail.end(), tail.begin(), [](unsigned char c) { return std::tolower(c); });
  return tail == ".gif";
}

class OneFile : public Files {
 public:
  explicit OneFile(const fs::path& path) : Files(path.parent_path().string(), '/') {
    take({{.name = path.filename().string(), .bytes = int64_t(fs::file_size(path))}});
  }
  std::string read(size_t i, int64_t) const override { return read_file(path(i)); }
};

// As people number files: 2 before 10. Runs of digits are compared by value, the rest bytewise.
bool natural_less(const std::string& a, const std::string& b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!digit(a[i]) || !digit(b[j])) {
      if (a[i] != b[j]) return uint8_t(a[i]) < uint8_t(b[j]);
      ++i, ++j;
      continue;
    }
    const auto number = [&](const std::string& text, size_t& at) {
      while (at < text.size() && text[at] == '0') ++at;
      const size_t from = at;
      while (at < text.size() && digit(text[at])) ++at;
      return std::string_view(text).substr(from, at - from);
    };
    const std::string_view m = number(a, i), n = number(b, j);
    if (m.size() != n.size()) return m.size() < n.size();
    if (m != n) return m < n;
  }
  if ((i < a.size()) != (j < b.size())) return j < b.size();
  return a < b;  // they differ in leading zeros
}

// One video: the files of its frames, or the GIF that holds them.
struct Video {
  std::vector<size_t> files;
  int64_t frames = 0;
  PictureInfo info = {};
  std::string damage = {};  // what is wrong with it, and thrown when it is read
};

struct Clip {
  size_t video;
  int64_t first, count;
};

struct Videos {
  FileSet files;
  bool gifs = false;
  std::vector<Video> all = {};
  std::vector<Clip> clips = {};
  bool own_size = true;  // no --size: every frame must have it already
  Fit how = {};
  Exif exif = Exif::upright;
  int64_t most_bytes = 0;  // that a clip may take, and a frame before it is fitted

  torch::Tensor read(const Clip& clip) const {
    const Video& video = all[clip.video];
    if (!video.damage.empty()) fail(Exit::data, "{}", video.damage);
    torch::Tensor out =
        torch::empty({1, clip.count, how.channels, how.size.height, how.size.width}, torch::kByte);
    uint8_t* to = out.data_ptr<uint8_t>();
    const auto append = [&](const torch::Tensor& frame, size_t file) {
      require(!own_size || (frame.size(1) == how.size.height && frame.size(2) == how.size.width), Exit::data,
              "{}: {}x{} pixels, expected {}x{} as of the others; pass --size HEIGHTxWIDTH",
              files->path(file), frame.size(1), frame.size(2), how.size.height, how.size.width);
      const torch::Tensor fitted = fit(frame, how).contiguous();
      to = std::copy_n(fitted.const_data_ptr<uint8_t>(), fitted.numel(), to);
    };
    if (gifs)
      play_gif(files->path(video.files[0]), files->read_whole(video.files[0], most_bytes), clip.first,
               clip.count, [&](const torch::Tensor& frame) { append(frame, video.files[0]); });
    else
      for (int64_t i = clip.first; i < clip.first + clip.count; ++i) {
        const size_t file = video.files[size_t(i)];
        append(load_picture(*files, file, exif, most_bytes), file);
      }
    return out;
  }
};

std::vector<Video> list_videos(const Files& files, bool gifs) {
  std::vector<Video> out;
  if (gifs) {
    for (size_t i = 0; i < files.count(); ++i) out.push_back({.files = {i}, .frames = 1});
    return out;
  }
  const auto less = [](const std::string& a, const std::string& b) { return natural_less(a, b); };
  std::map<std::string, std::vector<size_t>, decltype(less)> folders(less);
  for (size_t i = 0; i < files.count(); ++i)
    folders[fs::path(files.names()[i]).parent_path().string()].push_back(i);
  for (auto& [folder, frames] : folders) {
    std::sort(frames.begin(), frames.end(),
              [&](size_t a, size_t b) { return natural_less(files.names()[a], files.names()[b]); });
    out.push_back({.files = frames, .frames = int64_t(frames.size())});
  }
  return out;
}

// What the first frame says of a video, or the whole GIF. Damage is left to the sample, which fails and is
// counted.
void inspect(Videos& videos) {
  for (Video& video : videos.all) try {
      const size_t file = video.files[0];
      if (!videos.gifs) {
        video.info = info_of(*videos.files, file, videos.exif, videos.most_bytes);
        continue;
      }
      const std::string path = videos.files->path(file);
      const GifInfo gif = gif_info(path, videos.files->read_whole(file, videos.most_bytes));
      require_room(path, fmt::format("{}x{} pixels", gif.height, gif.width),
                   4 * double(gif.height) * double(gif.width), videos.most_bytes);
      video.frames = gif.frames;
      video.info = {.channels = 3, .height = gif.height, .width = gif.width};
    } catch (const Error& error) {
      if (error.kind != Exit::data) throw;
      video.damage = error.what();
    }
}

void require_some(const Videos& videos) {
  const auto whole = [](const Video& video) { return video.damage.empty(); };
  if (std::none_of(videos.all.begin(), videos.all.end(), whole))
    fail(Exit::data, "none of {} videos can be read, the first: {}", videos.all.size(), videos.all[0].damage);
}

void choose_fit(Videos& videos, const PackRequest& request) {
  const Video* reference = nullptr;
  bool colour = false;
  for (const Video& video : videos.all) {
    if (!video.damage.empty()) continue;
    colour = colour || video.info.channels > 2;
    if (!reference) reference = &video;
    require(request.size ||
                (video.info.height == reference->info.height && video.info.width == reference->info.width),
            Exit::usage, "videos differ in size: {} has {}x{} pixels, {} has {}x{}; pass --size HEIGHTxWIDTH",
            videos.files->path(reference->files[0]), reference->info.height, reference->info.width,
            videos.files->path(video.files[0]), video.info.height, video.info.width);
  }
  videos.own_size = !request.size;
  videos.how = {.channels = request.channels ? request.channels : (colour ? 3 : 1),
                .size = request.size.value_or(ImageSize{reference->info.height, reference->info.width}),
                .bits = 8,
                .filter = request.filter,
                .crop = request.crop,
                .background = parse_colour(request.background)};
}

// All frames of a clip are in memory together, and so have to find room there.
void weigh(Videos& videos, int64_t length) {
  const Fit& how = videos.how;
  for (Video& video : videos.all) try {
      const int64_t frames = length ? std::min(length, video.frames) : video.frames;
      require_room(videos.files->path(video.files[0]),
                   fmt::format("a clip of {} frames of {}x{} pixels (--length, --size)", frames,
                               how.size.height, how.size.width),
                   double(frames) * double(how.channels) * double(how.size.height) * double(how.size.width),
                   videos.most_bytes);
    } catch (const Error& error) {
      if (video.damage.empty()) video.damage = error.what();
    }
}

void cut(Videos& videos, int64_t length) {
  for (size_t v = 0; v < videos.all.size(); ++v) {
    const int64_t frames = videos.all[v].frames, step = length ? length : frames;
    for (int64_t first = 0; first < frames; first += step)
      videos.clips.push_back({.video = v, .first = first, .count = std::min(step, frames - first)});
  }
}

Field field_of(const Videos& videos) {
  int64_t longest = 0;
  for (const Clip& clip : videos.clips)
    if (videos.all[clip.video].damage.empty()) longest = std::max(longest, clip.count);
  const Fit& how = videos.how;
  return {.name = "video",
          .shape = {longest, how.channels, how.size.height, how.size.width},
          .dtype = torch::kByte,
          .class_names = {},
          .variable = true};
}

Source open_video(const PackRequest& request) {
  require(request.length >= 0, Exit::usage, "--length: expected at least 1, found {}", request.length);
  const std::string where = fs::absolute(request.source).lexically_normal().string();
  auto videos = std::make_shared<Videos>();
  if (fs::is_regular_file(where) && is_gif(where))
    videos->files = std::make_shared<OneFile>(where);
  else
    videos->files = open_files(where, is_gif);
  videos->gifs = videos->files->count() > 0;
  if (!videos->gifs) videos->files = open_pictures(where);
  videos->all = list_videos(*videos->files, videos->gifs);
  videos->exif = exif_of(request), videos->most_bytes = request.most_bytes();
  inspect(*videos), require_some(*videos);
  choose_fit(*videos, request);
  weigh(*videos, request.length), require_some(*videos);
  cut(*videos, request.length);

  Source source{.count = int64_t(videos->clips.size())};
  source.schema.fields = {field_of(*videos)};
  source.sample = [videos](int64_t i) { return Batch{{"video", videos->read(videos->clips[size_t(i)])}}; };
  source.provenance = videos->files->identity();
  source.provenance["source"] = where;
  source.provenance["videos"] = videos->all.size();
  source.left_out = videos->files->left_out();
  return source;
}

// GIFs among pictures are one more kind of picture, not the sign of a folder of videos.
Why accepts_video(const PackRequest& request) {
  if (fs::is_regular_file(request.source) && is_gif(request.source)) return "its name ends in .gif";
  if (!fs::is_directory(request.source)) return {};
  const std::vector<Walk::File> files = walk(request.source, /*deep=*/false).files;
  const auto any = [&](auto kind) {
    return std::any_of(files.begin(), files.end(), [&](const Walk::File& file) { return kind(file.name); });
  };
  if (!any(is_gif) || any(is_picture)) return {};
  return "it holds GIFs and no other pictures";
}

}  // namespace

const Importer kVideo{.name = "video",
                      .takes =
                          "animated GIFs, one or a folder; with --as video a folder of folders of "
                          "pictures",
                      .flags = "size channels filter crop background exif length",
                      .accepts = accepts_video,
                      .open = open_video};

}  // namespace saddle
