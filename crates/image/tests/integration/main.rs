//! Everything that is tested through the public interface of the image room.

mod compressed;
