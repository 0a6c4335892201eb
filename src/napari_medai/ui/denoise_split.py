"""Two pictures of the same thing on the sides of a line that can be moved."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

HEIGHT = 256
KEY_STEP = 0.05
SHADE, LIGHT = QColor(0, 0, 0, 150), QColor(255, 255, 255, 220)


class SplitView(QWidget):
    """Shows one picture to the left of the divider and one to the right, or the first alone.

    The divider follows the mouse while a button is down, and the arrow keys.
    """

    def __init__(self, left: str, right: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words = left, right
        self._pictures: tuple[QImage | None, QImage | None] = (None, None)
        self.divider = 0.5
        self.empty = ""
        self.setMinimumHeight(HEIGHT // 2)
        self.setMaximumHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def sizeHint(self) -> QSize:
        return QSize(HEIGHT, HEIGHT)

    def show_pictures(self, left: np.ndarray | None, right: np.ndarray | None) -> None:
        """Show pictures of one shape (Y, X, 4), uint8; None for none."""
        self._pictures = _image(left), _image(right)
        split = right is not None
        self.setCursor(Qt.CursorShape.SplitHCursor if split else Qt.CursorShape.ArrowCursor)
        self.update()

    def move_divider(self, share: float) -> None:
        """Put the divider to a share of the width, 0 to 1."""
        self.divider = min(1.0, max(0.0, share))
        self.update()

    @property
    def frame(self) -> QRectF:
        """Where the pictures are painted: as large as fits, in the middle."""
        picture = self._pictures[0]
        if picture is None:
            return QRectF(self.rect())
        size = picture.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        left, top = (self.width() - size.width()) / 2, (self.height() - size.height()) / 2
        return QRectF(round(left), round(top), size.width(), size.height())

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None:
            self._follow(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.buttons():
            self._follow(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        steps = {Qt.Key.Key_Left: -KEY_STEP, Qt.Key.Key_Right: KEY_STEP}
        if event is not None and event.key() in steps:
            self.move_divider(self.divider + steps[Qt.Key(event.key())])
            return
        super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        left, right = self._pictures
        if left is None:
            painter.setPen(self.palette().color(self.foregroundRole()))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.empty)
            return
        frame = self.frame
        painter.drawImage(frame, left)
        if right is not None:
            at = frame.left() + round(self.divider * frame.width())
            painter.setClipRect(QRectF(at, frame.top(), frame.right() - at + 1, frame.height()))
            painter.drawImage(frame, right)
            painter.setClipping(False)
            self._paint_divider(painter, frame, at)
            self._paint_word(painter, frame, self._words[1], Qt.AlignmentFlag.AlignRight)
        self._paint_word(painter, frame, self._words[0], Qt.AlignmentFlag.AlignLeft)

    def _follow(self, event: QMouseEvent) -> None:
        frame = self.frame
        self.move_divider((event.position().x() - frame.left()) / max(frame.width(), 1))

    def _paint_divider(self, painter: QPainter, frame: QRectF, at: float) -> None:
        top, bottom = QPointF(at, frame.top()), QPointF(at, frame.bottom())
        for colour, width in ((SHADE, 3), (LIGHT, 1)):
            painter.setPen(QPen(colour, width))
            painter.drawLine(top, bottom)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(SHADE)
        painter.drawEllipse(QPointF(at, frame.center().y()), 6, 6)

    def _paint_word(
        self, painter: QPainter, frame: QRectF, word: str, side: Qt.AlignmentFlag
    ) -> None:
        around = self.fontMetrics().boundingRect(word).adjusted(-4, -2, 4, 2)
        left = (
            frame.left() if side == Qt.AlignmentFlag.AlignLeft else frame.right() - around.width()
        )
        box = QRectF(left, frame.bottom() - around.height(), around.width(), around.height())
        painter.fillRect(box, SHADE)
        painter.setPen(LIGHT)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, word)


def _image(pixels: np.ndarray | None) -> QImage | None:
    if pixels is None:
        return None
    data = np.ascontiguousarray(pixels)
    height, width = data.shape[:2]
    image = QImage(data.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888)
    return image.copy()  # the bytes are not held by Qt
