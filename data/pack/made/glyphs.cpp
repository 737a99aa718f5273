// A font: one picture a character, or every bitmap of a colour font. Two fonts make pairs, for translation
// from one style to another.
#include <algorithm>
#include <filesystem>

#include "data/pack/importers.h"
#include "data/pack/made/font.h"
#include "dist/error.h"
#include "dist/log.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAlphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

bool is_font(const fs::path& path) {
  std::string tail = path.extension().string();
  std::transform(tail.begin(), tail.end(), tail.begin(), [](unsigned char c) { return std::tolower(c); });
  return (tail == ".ttf" || tail == ".otf" || tail == ".ttc") && fs::is_regular_file(path);
}

// What is drawn: in each font the glyphs of the same characters, in the same order.
struct Choice {
  std::vector<std::string> characters;        // empty: all bitmaps of one font
  std::vector<std::vector<uint32_t>> glyphs;  // a font
  std::vector<std::string> missing;
};

using Fonts = std::vector<std::shared_ptr<Font>>;

std::vector<std::string> distinct_characters(const std::string& text) {
  std::vector<std::string> out;
  size_t bytes = 0;
  for (const std::string_view each : code_points(text)) {
    bytes += each.size();
    if (std::find(out.begin(), out.end(), each) == out.end()) out.emplace_back(each);
  }
  require(bytes == text.size(), Exit::usage, "--characters: expected UTF-8, byte {} is none", bytes + 1);
  return out;
}

Choice choose(const Fonts& fonts, const std::string& text) {
  Choice out{.characters = {}, .glyphs = std::vector<std::vector<uint32_t>>(fonts.size()), .missing = {}};
  for (const std::string& character : distinct_characters(text)) {
    size_t at = 0;
    const char32_t code = next_code_point(character, at);
    std::vector<uint32_t> found;
    for (const auto& font : fonts)
      if (const auto glyph = font->glyph(code)) found.push_back(*glyph);
    const bool everywhere = found.size() == fonts.size();
    (everywhere ? out.characters : out.missing).push_back(character);
    for (size_t f = 0; everywhere && f < fonts.size(); ++f) out.glyphs[f].push_back(found[f]);
  }
  if (!out.missing.empty())
    log::warn("{}: left out, since a font lacks them: {}", fonts[0]->path(), fmt::join(out.missing, " "));
  return out;
}

Choice choose(const Fonts& fonts, const PackRequest& request) {
  const bool everything = request.characters.empty() && fonts.size() == 1 && fonts[0]->bitmaps();
  Choice out = everything ? Choice{.characters = {}, .glyphs = {fonts[0]->bitmap_glyphs()}, .missing = {}}
                          : choose(fonts, request.characters.empty() ? kAlphanumeric : request.characters);
  require(!out.glyphs[0].empty(), Exit::data, "{}: has none of the characters; name others by --characters",
          fonts[0]->path());
  return out;
}

// The largest scale at which every glyph of every font fits, a sixteenth of the canvas left free around.
Layout arrange(const Fonts& fonts, const Choice& choice, ImageSize size) {
  Extent all;
  double width = 0;
  for (size_t f = 0; f < fonts.size(); ++f)
    for (size_t i = 0; !fonts[f]->bitmaps() && i < choice.glyphs[f].size(); ++i) {
      const Extent each = fonts[f]->extent(choice.glyphs[f][i]);
      width = std::max(width, each.right - each.left);
      all.include(each);
    }
  const double height = all.top - all.bottom, free = 14.0 / 16;
  if (width <= 0 || height <= 0) return {.em = double(size.height) / 2};  // blanks, or bitmaps only
  const double em = std::min(free * double(size.height) / height, free * double(size.width) / width);
  return {.em = em, .baseline = (double(size.height) - height * em) / 2 - all.bottom * em};
}

// White ink on a dark background, black on a light one; the opacity is the drawing.
torch::Tensor inked(const torch::Tensor& opacity, const std::array<uint8_t, 3>& paper) {
  const bool dark = 299 * paper[0] + 587 * paper[1] + 114 * paper[2] < 128 * 1000;
  torch::Tensor out = torch::full({2, opacity.size(1), opacity.size(2)}, dark ? 255 : 0, torch::kByte);
  std::copy_n(opacity.const_data_ptr<uint8_t>(), opacity.numel(), out.data_ptr<uint8_t>() + opacity.numel());
  return out;
}

// Draws glyphs of one font as samples.
struct Pen {
  std::shared_ptr<Font> font;
  std::vector<uint32_t> glyphs;
  ImageSize canvas;  // of bitmaps
  Layout layout;     // of outlines
  Fit how;

  torch::Tensor draw(int64_t i) const {
    const uint32_t glyph = glyphs[size_t(i)];
    return fit(font->bitmaps() ? font->bitmap(glyph, canvas)
                               : inked(font->outline(glyph, how.size, layout), how.background),
               how)
        .unsqueeze(0);
  }
};

Fit how_to_draw(const PackRequest& request, const Font& font, ImageSize canvas) {
  constexpr ImageSize kDefault{.height = 64, .width = 64};
  const bool bitmaps = font.bitmaps();
  return {.channels = request.channels ? request.channels : (bitmaps ? 3 : 1),
          .size = request.size.value_or(bitmaps ? canvas : kDefault),
          .bits = 8,
          .filter = request.filter,
          .crop = "pad",  // glyphs are shown whole
          .background = parse_colour(request.background)};
}

std::vector<Pen> pens_of(const Fonts& fonts, const Choice& choice, const PackRequest& request) {
  std::vector<Pen> pens;
  for (size_t f = 0; f < fonts.size(); ++f) {
    const ImageSize canvas = fonts[f]->bitmaps() ? fonts[f]->bitmap_size(choice.glyphs[f]) : ImageSize{};
    const Fit how = f == 0 ? how_to_draw(request, *fonts[f], canvas) : pens[0].how;
    pens.push_back(
        {.font = fonts[f], .glyphs = choice.glyphs[f], .canvas = canvas, .layout = {}, .how = how});
  }
  const Layout layout = arrange(fonts, choice, pens[0].how.size);
  for (Pen& pen : pens) pen.layout = layout;
  return pens;
}

nlohmann::json provenance(const Fonts& fonts, const Choice& choice) {
  nlohmann::json out{{"source", fonts[0]->path()}, {"bytes", fs::file_size(fonts[0]->path())}};
  if (fonts.size() > 1)
    out["pair"] = {{"source", fonts[1]->path()}, {"bytes", fs::file_size(fonts[1]->path())}};
  if (!choice.missing.empty()) out["missing"] = choice.missing;
  return out;
}

Fonts open_fonts(const PackRequest& request) {
  Fonts fonts;
  for (const std::string& path : {request.source, request.pair})
    if (!path.empty())
      fonts.push_back(std::make_shared<Font>(fs::absolute(path).lexically_normal().string()));
  const bool resampled =
      std::any_of(fonts.begin(), fonts.end(), [](const auto& font) { return font->bitmaps(); });
  require(resampled || !request.was_given("filter"), Exit::usage,
          "--filter: {} has outlines, which are drawn at any size", request.source);
  return fonts;
}

Source open_glyphs(const PackRequest& request) {
  const Fonts fonts = open_fonts(request);
  const Choice choice = choose(fonts, request);
  const auto pens = pens_of(fonts, choice, request);
  const bool labelled = !choice.characters.empty();
  const std::vector<std::string> names =
      pens.size() > 1 ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"image"};

  Source source{.count = int64_t(choice.glyphs[0].size())};
  for (const std::string& name : names)
    source.schema.fields.push_back(image_field(name, pens[0].how.channels, pens[0].how.size));
  if (labelled) {
    source.schema.fields.push_back(label_field(source.count, choice.characters));
    source.label = [](int64_t i) { return i; };
  }
  source.sample = [pens, names, labelled](int64_t i) {
    Batch out;
    for (size_t p = 0; p < pens.size(); ++p) out.set(names[p], pens[p].draw(i));
    if (labelled) out.set("label", torch::full({1}, i, torch::kLong));
    return out;
  };
  source.provenance = provenance(fonts, choice);
  return source;
}

}  // namespace

const Importer kGlyphs{
    .name = "glyphs",
    .takes = "a font (.ttf, .otf, .ttc): its characters, or all pictures of a colour font; --pair: two fonts",
    .flags = "size channels background characters pair filter",
    .accepts = [](const PackRequest& request) -> Why {
      if (!is_font(request.source)) return {};
      return "its name is that of a font";
    },
    .open = open_glyphs};

}  // namespace saddle
