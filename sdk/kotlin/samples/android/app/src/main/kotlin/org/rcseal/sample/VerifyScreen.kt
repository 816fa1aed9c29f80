package org.rcseal.sample

import android.graphics.Bitmap
import android.graphics.Color
import androidx.compose.foundation.Image
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.padding
import androidx.compose.material3.Button
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Scaffold
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.produceState
import androidx.compose.runtime.remember
import androidx.compose.runtime.rememberCoroutineScope
import androidx.compose.runtime.setValue
import androidx.compose.ui.Modifier
import androidx.compose.ui.graphics.asImageBitmap
import androidx.compose.ui.res.stringResource
import com.google.zxing.BarcodeFormat
import com.google.zxing.qrcode.QRCodeWriter
import kotlinx.coroutines.launch
import org.rcseal.RcsealException
import org.rcseal.SafetyNumber

/** Both people open this screen: each shows its code, and each scans the other's. */
@Composable
fun VerifyScreen(model: ChatModel, contactId: String) {
    val number by produceState<SafetyNumber?>(null, contactId) {
        // Without the contact's keys there is no number yet; they are fetched in the background.
        value = try {
            model.safetyNumber(contactId)
        } catch (failure: RcsealException) {
            null
        }
    }
    var scan by remember { mutableStateOf("") }
    var answer by remember { mutableStateOf<Int?>(null) }
    val scope = rememberCoroutineScope()
    Scaffold { inside ->
        Column(Modifier.padding(inside)) {
            Text(stringResource(R.string.verify))
            number?.let { known ->
                Image(remember(known) { code(known.qrPayload()) }.asImageBitmap(), contentDescription = null)
                Text(known.numeric())
                // A real app scans with the camera; what it reads goes to `verify` as it is.
                OutlinedTextField(scan, { scan = it }, label = { Text(stringResource(R.string.scanned)) })
                Button(onClick = {
                    scope.launch {
                        answer = try {
                            known.verify(scan)
                            R.string.verified
                        } catch (failure: RcsealException.Contact) {
                            R.string.other_code
                        } catch (failure: RcsealException) {
                            R.string.try_again
                        }
                    }
                }) { Text(stringResource(R.string.verify)) }
            }
            answer?.let { Text(stringResource(it)) }
        }
    }
}

private fun code(payload: String): Bitmap {
    val matrix = QRCodeWriter().encode(payload, BarcodeFormat.QR_CODE, SIDE, SIDE)
    val bitmap = Bitmap.createBitmap(SIDE, SIDE, Bitmap.Config.RGB_565)
    for (x in 0 until SIDE) for (y in 0 until SIDE) bitmap.setPixel(x, y, if (matrix.get(x, y)) Color.BLACK else Color.WHITE)
    return bitmap
}

/** Points. */
private const val SIDE = 720
