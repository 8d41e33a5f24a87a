"""`./run messages`: bring the translations up to date with the texts, and compile them."""

from __future__ import annotations

from tests.translations import catalog


def main() -> None:
    texts = catalog.extracted()
    for language in catalog.LANGUAGES:
        merged = catalog.merged(language, texts)
        folder = catalog.folder(language)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "django.po").write_bytes(catalog.as_po(merged))
        (folder / "django.mo").write_bytes(catalog.as_mo(merged))
        missing = [m for m in merged if m.id and not all(said for _, said in catalog.forms(m))]
        print(f"{language}: {len(merged)} texts, {len(missing)} without a translation")
        for message in missing:
            print(f"  {message.id!r}")


if __name__ == "__main__":
    main()
