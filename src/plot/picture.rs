//! What every picture can do.

use std::path::Path;

use super::sheet::Sheet;
use crate::{Error, Result};

/// A picture, which is drawn when it is asked for.
///
/// It is 800 pixels wide, and as high as what it shows. The same input gives the same bytes.
///
/// # Examples
///
/// ```
/// use steadygrad::{plot, record::Log};
///
/// let log = Log::default();
/// let picture = plot::norms(&log).title("A run that was never begun");
/// assert!(picture.to_svg().contains("nothing was recorded"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a picture is drawn when it is asked for"]
pub struct Picture<K> {
    pub(super) title: Option<String>,
    pub(super) shown: K,
}

/// What a picture can show: a kind of picture.
pub trait Shown {
    #[doc(hidden)]
    fn sheet(&self) -> Contents;
}

/// What stands on a sheet.
#[derive(Debug)]
pub struct Contents(pub(super) Sheet);

impl<K: Shown> Picture<K> {
    pub(super) fn of(shown: K) -> Self {
        Self { title: None, shown }
    }

    /// Under this title, not under the usual one.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::{plot, record::Log};
    /// assert!(plot::norms(&Log::default()).title("Seed 7").to_svg().contains("Seed 7"));
    /// ```
    pub fn title(self, title: impl Into<String>) -> Self {
        Self {
            title: Some(title.into()),
            ..self
        }
    }

    /// The picture as an SVG document.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::{plot, record::Log};
    /// let svg = plot::report(&Log::default()).to_svg();
    /// assert!(svg.starts_with("<svg width=\"800\"") && svg.ends_with("</svg>\n"));
    /// ```
    #[must_use]
    pub fn to_svg(&self) -> String {
        self.laid().scene().to_svg()
    }

    /// Writes the picture as an SVG document.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::{plot, record::Log};
    /// let path = std::env::temp_dir().join("steadygrad-doc-picture.svg");
    /// plot::norms(&Log::default()).svg(&path)?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Picture`] if the file cannot be written.
    pub fn svg(&self, path: impl AsRef<Path>) -> Result<()> {
        write(path.as_ref(), self.to_svg().as_bytes())
    }

    /// The picture as PNG, 1600 pixels wide: two for each of the 800, for screens that have them.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::{plot, record::Log};
    /// assert!(plot::norms(&Log::default()).to_png()?.starts_with(b"\x89PNG\r\n"));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Picture`] if the picture is too large for the format.
    #[cfg(feature = "png")]
    pub fn to_png(&self) -> Result<Vec<u8>> {
        self.laid().scene().to_png()
    }

    /// Writes the picture as PNG, 1600 pixels wide.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::{plot, record::Log, Error};
    /// let refused = plot::norms(&Log::default()).png("/nowhere/at/all.png").unwrap_err();
    /// assert!(matches!(refused, Error::Picture { .. }));
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Picture`] if the file cannot be written, or the picture is too large for the format.
    #[cfg(feature = "png")]
    pub fn png(&self, path: impl AsRef<Path>) -> Result<()> {
        write(path.as_ref(), &self.to_png()?)
    }

    /// What stands on the sheet.
    pub(super) fn laid(&self) -> Sheet {
        let Contents(mut sheet) = self.shown.sheet();
        if let Some(title) = &self.title {
            sheet.title.clone_from(title);
        }
        sheet
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|why| Error::Picture {
        what: path.display().to_string(),
        expected: "a file that can be written",
        found: why.to_string(),
    })
}
